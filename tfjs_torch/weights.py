"""TensorFlow.js weights <-> torch state_dict: in memory and on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.weak import WeakIdKeyDictionary

from . import engines
from .artifacts import Artifacts, Source, read_artifacts, target_of, template
from .assembly import as_parameter, assemble, to_tfjs, to_torch
from .codec import Groups, extents
from .encoder import Stored
from .errors import MismatchError
from .given import given_groups, given_manifest
from .layers import Weight
from .manifest import Manifest, WeightSpec
from .parallel import without_garbage_collection
from .quantization import is_ambiguous
from .saving import write_files
from .shards import MemoryShard, Stream
from .tensors import Quantize, encode_all, encode_files, groups_of, new_manifest, stored_tensors
from .torch_tensors import as_tensors

StateDict: TypeAlias = "dict[str, Any]"

# The stored bytes of tensors whose values do not tell them (several codes mean one number, a bool byte
# is neither 0 nor 1). They are written again while the values are the same; forgotten with the tensor.
_remembered = WeakIdKeyDictionary()


def tfjs_to_torch(
    manifest: Any,
    bin: Any,
    *,
    layout: str = "tfjs",
    device: torch.device | str | None = None,
    engine: str = "tfjs_torch",
) -> StateDict:
    """Weights of a TensorFlow.js model as a dict of torch tensors, bit-identical to what tf.js reads.

    Args:
        manifest: a parsed model.json (dict), its weightsManifest (list), JSON text or bytes, or a path to the JSON.
        bin: the weight bytes: bytes-like, a list of shards in manifest order, {path: bytes}, path(s), or the
            folder they lie in. Files are mapped copy-on-write; bytes are copied.
        layout: "tfjs": names, shapes and dtypes exactly as in the manifest (a Dense kernel is [in, out]).
            "torch": keys, shapes and layouts of torch's modules (`dense.weight` is [out, in]), equal to
            load_model(...).state_dict(). It needs a whole model.json: a bare manifest does not tell the layers.
        device: where the tensors go; None is the CPU.
        engine: "tensorflowjs" decodes with the official package (extra `tensorflowjs`).

    Returns:
        {name: tensor} in the manifest's order. float32, int32, bool, complex64 (also float16, uint8, uint16 where
        they are stored unquantised); quantised tensors come dequantised. Every tensor is writable, and writing to it
        changes nothing else: no other tensor, no file, not the bytes given. String tensors cannot be torch tensors:
        they are numpy object arrays of bytes.

    Raises:
        ManifestError, WeightsLengthError, FilesError, UnsupportedError, MismatchError: see tfjs_torch.errors.

    The format: weightsManifest in tfjs-core/src/io/types.ts, decodeWeights in tfjs-core/src/io/io_utils.ts.

    Example:
        >>> from tfjs_torch import tfjs_to_torch
        >>> entry = {"name": "dense/bias", "shape": [2], "dtype": "float32"}
        >>> tfjs_to_torch([{"paths": ["w.bin"], "weights": [entry]}], bytes.fromhex("0000803f00000040"))
        {'dense/bias': tensor([1., 2.])}
    """
    _check_layout(layout)
    with without_garbage_collection():
        parsed = given_manifest(manifest)
        tensors = _to_torch(given_groups(parsed, bin), None if layout == "torch" else device, engine)
        return as_modules_have_them(parsed, tensors, device) if layout == "torch" else tensors


def torch_to_tfjs(
    state_dict: Mapping[str, Any],
    manifest: Any = None,
    *,
    quantize: Quantize = None,
    layout: str = "tfjs",
) -> tuple[Any, bytes]:
    """The way back: the manifest, and all weight bytes in its order (tf.js' own `weightData`).

    `torch_to_tfjs(tfjs_to_torch(m, b), m) == (m, b)`, bit for bit, quantised models too.

    Args:
        state_dict: {name: tensor}; torch tensors on any device, numpy arrays, and object arrays of bytes for strings.
        manifest: what to write under, in any form that tfjs_to_torch takes; None makes a new list. Dtype, order
            and unknown keys of every entry stay. A quantised entry keeps its scale and min when they reproduce
            the tensor exactly; else it is quantised afresh and the returned manifest says so.
        quantize: None, "uint8", "uint16" or "float16" for all float32 tensors, "uint8:conv*" for those of a
            glob (a list of such, or {dtype: True | glob | [globs]}); "float32" stores plainly.
        layout: the layout of the state_dict, see tfjs_to_torch.

    Returns:
        (manifest, bytes). The manifest has the form it was given in (the very object when nothing changed).

    Raises:
        MismatchError: missing or unexpected keys, a wrong shape, or a value that the entry's dtype cannot hold
            (float64 is rounded to float32; integers are range-checked).
        UnsupportedError: a dtype that tf.js cannot load. ManifestError: see tfjs_to_torch.

    Fresh quantisation follows tensorflowjs/quantization.py of the official package.

    Example:
        >>> import torch
        >>> from tfjs_torch import torch_to_tfjs
        >>> manifest, data = torch_to_tfjs({"dense/bias": torch.tensor([1.0, 2.0])})
        >>> manifest[0]["weights"], data.hex()
        ([{'name': 'dense/bias', 'shape': [2], 'dtype': 'float32'}], '0000803f00000040')
    """
    _check_layout(layout)
    if layout == "torch":
        parsed = given_manifest(_needed(manifest, "manifest"))
        state_dict = under_stored_names(parsed, assemble(parsed).weights, state_dict)
        tensors = as_tensors(state_dict)
    else:
        tensors = as_tensors(state_dict)
        parsed = new_manifest(tensors) if manifest is None else given_manifest(manifest)
    encoding = encode_all(parsed, tensors, quantize, _recall(state_dict, parsed))
    return parsed.changed(encoding.quantization), b"".join(encoding.pieces())


def load_file(
    path: Source,
    *,
    layout: str = "tfjs",
    device: torch.device | str = "cpu",
    engine: str = "tfjs_torch",
) -> StateDict:
    """tfjs_to_torch for a model on disk: a folder, the path of its model.json, or a .zip.

    Weight files are mapped copy-on-write: opening takes milliseconds whatever the size, pages are read when
    they are touched, and changing a tensor never changes the file. Do not overwrite the file in place while
    its tensors are in use (save_file does not: it writes a new one and renames it).

    Args:
        path: the folder, the JSON, the .zip; also {file name: bytes} and Artifacts.
        layout, device, engine: see tfjs_to_torch.

    Returns and raises: see tfjs_to_torch.

    Example:
        >>> from tfjs_torch import load_file
        >>> state_dict = load_file("samples/ml5-classifier")
        >>> list(state_dict), state_dict["dense_Dense1/kernel"].shape
        (['dense_Dense1/kernel', 'dense_Dense1/bias', 'dense_Dense2/kernel', 'dense_Dense2/bias'], torch.Size([3, 16]))
    """
    _check_layout(layout)
    with without_garbage_collection():
        artifacts = read_artifacts(path)
        if layout != "torch":
            return _load(artifacts, device, engine)
        return as_modules_have_them(artifacts.manifest, _load(artifacts, None, engine), device, artifacts.where)


def save_file(
    state_dict: Mapping[str, Any],
    path: str | os.PathLike[str],
    *,
    like: Any = None,
    quantize: Quantize = None,
    shard_bytes: int | None = None,
    layout: str = "tfjs",
    engine: str = "tfjs_torch",
) -> None:
    """torch_to_tfjs onto disk: model.json, weights and sidecars, complete or not at all.

    Args:
        state_dict: see torch_to_tfjs.
        path: a folder (made if missing), a .zip, or the path of the JSON in its folder. Existing files of the
            same names are replaced, model.json last.
        like: the model to write like (a path, a parsed model.json or manifest, or Artifacts): file names, paths,
            groups, shard cuts, key order and unknown keys stay, model_meta.json and metadata.json travel along.
            None writes model.json (weights only) and model.weights.bin.
        quantize: see torch_to_tfjs.
        shard_bytes: cut the weights into files of this many bytes. Leave it out for ml5, whose file picker
            takes exactly one .bin.
        layout: see tfjs_to_torch.
        engine: "tensorflowjs" encodes with the official package (extra `tensorflowjs`).

    Raises:
        MismatchError, UnsupportedError: see torch_to_tfjs. FilesError: the place cannot be written.

    A layout of files that tf.js 4.22 would silently misread is never written (see sharding.misread_by_tfjs).

    Example:
        >>> import tempfile, torch
        >>> from tfjs_torch import load_file, save_file
        >>> state_dict = load_file("samples/ml5-classifier")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_file({k: v * 0.5 for k, v in state_dict.items()}, folder, like="samples/ml5-classifier")
        ...     torch.equal(load_file(folder)["dense_Dense2/bias"], state_dict["dense_Dense2/bias"] * 0.5)
        True
    """
    _check_layout(layout)
    folder, json_name = target_of(path)
    encode = engines.find(engine).encode
    with without_garbage_collection():
        model = template(_needed(like, "like") if layout == "torch" else like)
        if layout == "torch" and model:
            weights = assemble(model.manifest, where=model.where).weights
            state_dict = under_stored_names(model.manifest, weights, state_dict, model)
        files = encode_files(as_tensors(state_dict), model, quantize, shard_bytes, json_name, encode)
        write_files(folder, files)


def _load(artifacts: Artifacts, device: torch.device | str | None, engine: str) -> StateDict:
    return _to_torch(groups_of(artifacts), device, engine, artifacts.where)


def _to_torch(
    groups: Groups,
    device: torch.device | str | None,
    engine: str,
    where: str = "weights",
) -> StateDict:
    state_dict: StateDict = {}
    for spec, array in engines.find(engine).decode(groups, where):
        if spec.dtype == "string":
            state_dict[spec.name] = array
            continue
        tensor = torch.from_numpy(array)
        if device is not None and str(device) != "cpu":
            tensor = tensor.to(device)
        state_dict[spec.name] = tensor
    _remember(groups, state_dict)
    return state_dict


def _remember(groups: Groups, state_dict: StateDict) -> None:
    for specs, stream in groups:
        if not any(_tells_little(spec) for spec in specs):
            continue
        with stream:
            for spec, (start, stop) in zip(specs, extents(specs, stream), strict=True):
                if not _tells_little(spec):
                    continue
                raw = np.empty(stop - start, np.uint8)
                stream.read(start, raw)
                if spec.quantization or (raw.size and raw.max() > 1):
                    _remembered[state_dict[spec.name]] = (spec[:5], raw)


def _tells_little(spec: WeightSpec) -> bool:
    """Whether several stored bytes may mean the same value."""
    if not spec.size:
        return False
    return is_ambiguous(spec.quantization, spec.dtype) if spec.quantization else spec.dtype == "bool"


def _recall(state_dict: Mapping[str, Any], manifest: Manifest) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    if not len(_remembered):
        return found
    for spec in manifest.specs:
        tensor = state_dict.get(spec.name)
        known = _remembered.get(tensor) if isinstance(tensor, torch.Tensor) else None
        if known is not None and known[0] == spec[:5]:
            found[spec.name] = Stored(Stream([MemoryShard(spec.name, known[1])]), (0, known[1].size))
    return found


def as_modules_have_them(
    manifest: Manifest, tensors: StateDict, device: torch.device | str | None, where: str = "manifest"
) -> StateDict:
    """A state_dict of torch's modules, of the manifest's tensors.

    Raises:
        TopologyError, UnsupportedError, MismatchError: see assemble.
    """
    weights = assemble(manifest, where=where).weights
    state = {key: as_parameter(tensor) for key, tensor in to_torch(weights, tensors).items()}
    for weight in weights:
        if len(weight.names) == 1:
            _hand_on(tensors[weight.names[0]], state[weight.keys[0]])
    return {key: tensor if device is None else tensor.to(device) for key, tensor in state.items()}


def under_stored_names(
    manifest: Manifest, weights: tuple[Weight, ...], state_dict: Mapping[str, Any], artifacts: Artifacts | None = None
) -> StateDict:
    """The manifest's tensors, of a module's state_dict.

    State of an optimizer, which no module has, is taken over from the artifacts' files.

    Raises:
        MismatchError: missing or unexpected keys, or a shape that does not fit.
    """
    placed = {name for weight in weights for name in weight.names}
    kept = [spec.name for spec in manifest.specs if spec.name not in placed]
    own = {key: value for key, value in state_dict.items() if key not in kept}
    tensors: StateDict = {**_tensors_of(weights, own), **{key: state_dict[key] for key in kept if key in state_dict}}
    missing = [name for name in kept if name not in tensors]
    if missing and artifacts is not None and artifacts.shards:
        stored = dict(stored_tensors(artifacts))
        tensors.update({name: np.asarray(stored[name]) for name in missing})
    elif missing:
        raise MismatchError(
            missing[0],
            "the optimizer's state of this model expected, which no module has; give save_file like=the files",
        )
    return tensors


def _tensors_of(weights: tuple[Weight, ...], state_dict: Mapping[str, Any]) -> StateDict:
    given = {key: torch.as_tensor(value) for key, value in state_dict.items()}
    tensors: StateDict = dict(to_tfjs(weights, given))
    if len(_remembered):
        for weight in weights:
            if len(weight.names) == 1:
                _hand_on(state_dict[weight.keys[0]], tensors[weight.names[0]])
    return tensors


def _hand_on(source: Any, target: torch.Tensor) -> None:
    """The stored bytes of a tensor are those of its other layout, too."""
    known = _remembered.get(source) if isinstance(source, torch.Tensor) else None
    if known is not None:
        _remembered[target] = known


def _needed(given: Any, name: str) -> Any:
    if given is None:
        raise MismatchError(name, 'the model.json to write for expected with layout="torch", found none')
    return given


def _check_layout(layout: str) -> None:
    if layout not in ("tfjs", "torch"):
        raise MismatchError("layout", f'"tfjs" or "torch" expected, found {layout!r}')
