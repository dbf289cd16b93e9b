"""Files made by real tf.js, by hand and by the official package: read to the bit, and written back to the byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import (
    Told,
    groups_in,
    json_of,
    judged_all,
    official_write,
    officially,
    parse,
    snapshot,
    told,
    told_all,
    warned,
    weight_data,
)
from judges import CASES, expected

from tfjs_torch import (
    TfjsTorchWarning,
    UnsupportedError,
    decode_weights,
    load_file,
    official,
    read_artifacts,
    save_file,
    tfjs_to_torch,
    torch_to_tfjs,
    write_weights,
)

FOLDERS = sorted(path.parent for path in CASES.glob("*/expected.json"))

# Where the official package reads something else than tf.js, or nothing: the number of its defect in section 6.
# The engine hands min and scale over as floats, so that 51 does not show there.
ENGINE_DEFECTS = {"hand-int32-ties": 21, "js-empty": 11}
OFFICIAL_DEFECTS = {**ENGINE_DEFECTS, "hand-uint8-integer-metadata": 51, "hand-uint16": 51}

# One file under two names: written as one file with the bytes of both, and a warning says so.
SHARES_A_FILE = CASES / "hand-paths"
FOLDERS_THAT_STAY = [path for path in FOLDERS if path != SHARES_A_FILE]

# What the script that made the files gave to the official write_weights.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "py-shards-5": {"shard_size_bytes": 5},
    "py-shards-7": {"shard_size_bytes": 7},
    "py-shards-4096": {"shard_size_bytes": 4096},
    "py-uint8": {"quantization_dtype_map": {"uint8": True}},
    "py-uint16": {"quantization_dtype_map": {"uint16": "*"}},
    "py-float16": {"quantization_dtype_map": {"float16": True}},
    "py-globs": {"quantization_dtype_map": {"uint8": ["*/kernel"], "uint16": "conv/b*", "float16": True}},
    "py-constant": {"quantization_dtype_map": {"uint8": "*s", "uint16": "scalar"}},
    "py-range-without-zero": {"quantization_dtype_map": {"uint8": ["above", "far"], "uint16": True}},
}


def is_quantised(case: Path) -> bool:
    return any(e.get("quantization") for group in groups_in(parse(json_of(case))) for e in group["weights"])


UNQUANTISED = [path for path in FOLDERS_THAT_STAY if not is_quantised(path)]


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def case(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def files_of(case: Path) -> dict[str, bytes | None]:
    return {name: data for name, data in snapshot(case).items() if name != "expected.json"}


def test_every_tensor_is_read_as_tfjs_reads_it(case: Path) -> None:
    assert told_all(load_file(json_of(case))) == judged_all(expected(case))


def test_the_order_is_that_of_the_manifest(case: Path) -> None:
    names = [e["name"] for group in groups_in(parse(json_of(case))) for e in group["weights"]]
    assert list(load_file(json_of(case))) == names


def test_from_memory_the_same_tensors_come(case: Path) -> None:
    document = parse(json_of(case))
    found = told_all(tfjs_to_torch(document, weight_data(case, document)))
    assert found == told_all(load_file(json_of(case)))


def test_there_and_back_again_gives_the_same_manifest_and_bytes(case: Path) -> None:
    document = parse(json_of(case))
    data = weight_data(case, document)
    assert torch_to_tfjs(tfjs_to_torch(document, data), document) == (document, data)


@pytest.mark.parametrize("case", FOLDERS_THAT_STAY, ids=lambda path: path.name)
def test_saved_like_itself_a_model_has_the_same_files(case: Path, tmp_path: Path) -> None:
    save_file(load_file(json_of(case)), tmp_path / json_of(case).name, like=json_of(case))
    assert snapshot(tmp_path) == files_of(case)


@pytest.mark.parametrize("case", FOLDERS_THAT_STAY, ids=lambda path: path.name)
def test_artifacts_save_the_same_files(case: Path, tmp_path: Path) -> None:
    read_artifacts(json_of(case)).save(tmp_path)
    assert snapshot(tmp_path) == files_of(case)


@pytest.mark.parametrize("case", FOLDERS_THAT_STAY, ids=lambda path: path.name)
def test_a_zip_of_it_holds_the_same_tensors(case: Path) -> None:
    zipped = read_artifacts(json_of(case)).to_zip()
    assert told_all(load_file(zipped)) == told_all(load_file(json_of(case)))


def test_a_file_that_two_entries_share_is_written_as_one_of_the_whole_length(tmp_path: Path) -> None:
    state_dict = load_file(SHARES_A_FILE)
    state_dict["a"][0] = 99
    with pytest.warns(TfjsTorchWarning, match="share one file"):
        save_file(state_dict, tmp_path, like=SHARES_A_FILE)
    assert told_all(load_file(tmp_path)) == told_all(state_dict)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_official_engine_reads_the_same_but_for_its_defects(case: Path) -> None:
    try:
        found = told_all(load_file(json_of(case), engine="tensorflowjs"))
    except UnsupportedError:
        found = {}
    assert (found == told_all(load_file(json_of(case)))) is (case.name not in ENGINE_DEFECTS)


def test_decode_weights_gives_what_the_official_one_gives_but_for_its_defects(case: Path) -> None:
    groups = groups_in(parse(json_of(case)))
    buffers = [weight_data(case, [group]) for group in groups]
    try:
        theirs = told_groups(officially(official.decode_weights, groups, buffers))
    except (ValueError, OverflowError):
        theirs = []
    assert (told_groups(decode_weights(groups, buffers)) == theirs) is (case.name not in OFFICIAL_DEFECTS)


def test_decode_weights_flattens_on_request(case: Path) -> None:
    groups = groups_in(parse(json_of(case)))
    buffers = [weight_data(case, [group]) for group in groups]
    one_by_one = [one for group in decode_weights(groups, buffers) for one in group]
    assert told_groups([decode_weights(groups, buffers, flatten=True)]) == told_groups([one_by_one])


@pytest.mark.parametrize("name", [path.name for path in FOLDERS if path.name.startswith("py-")])
def test_write_weights_writes_what_the_official_one_writes(name: str, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    written = write_weights(input_of(CASES / name), ours, **ARGUMENTS.get(name, {}))
    assert written == official_write(theirs, input_of(CASES / name), **ARGUMENTS.get(name, {}))
    assert snapshot(ours) == snapshot(theirs)


def test_a_glob_that_matches_nothing_is_no_error_for_write_weights_as_for_the_official_one(tmp_path: Path) -> None:
    groups = input_of(CASES / "py-shards-7")
    with warned():
        ours = write_weights(groups, tmp_path / "ours", quantization_dtype_map={"uint8": ["gone*", "a"]})
    assert ours == official_write(tmp_path / "theirs", groups, quantization_dtype_map={"uint8": ["gone*", "a"]})


@pytest.mark.parametrize(
    "name", ["py-two-groups", "py-zero-byte-group", "py-shards-5", "py-shards-7", "py-shards-4096", "py-strings"]
)
def test_write_weights_makes_the_golden_files_again(name: str, tmp_path: Path) -> None:
    write_weights(input_of(CASES / name), tmp_path, **ARGUMENTS.get(name, {}))
    assert snapshot(tmp_path) == files_of(CASES / name)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_official_engine_saves_the_same_files(name: str, tmp_path: Path) -> None:
    state_dict = load_file(json_of(CASES / name))
    for engine in ("tfjs_torch", "tensorflowjs"):
        save_file(state_dict, tmp_path / engine, quantize=ARGUMENTS[name].get("quantization_dtype_map"), engine=engine)
    assert snapshot(tmp_path / "tfjs_torch") == snapshot(tmp_path / "tensorflowjs")


@pytest.mark.parametrize(
    "case", [path for path in FOLDERS_THAT_STAY if not is_quantised(path)], ids=lambda path: path.name
)
def test_the_official_engine_saves_the_same_files_under_a_template(case: Path, tmp_path: Path) -> None:
    state_dict = {n: v if isinstance(v, np.ndarray) else v.clone() for n, v in load_file(json_of(case)).items()}
    for engine in ("tfjs_torch", "tensorflowjs"):
        save_file(state_dict, tmp_path / engine / json_of(case).name, like=parse(json_of(case)), engine=engine)
    assert snapshot(tmp_path / "tfjs_torch") == snapshot(tmp_path / "tensorflowjs")


def input_of(case: Path) -> list[Any]:
    """The expected tensors, in the groups of the case, as write_weights takes them."""
    tensors = expected(case)
    arrays = {name: t.array.astype(bool) if t.dtype == "bool" else t.array.copy() for name, t in tensors.items()}
    return [
        [{"name": e["name"], "data": arrays[e["name"]]} for e in group["weights"]]
        for group in groups_in(parse(json_of(case)))
    ]


def told_groups(groups: list[Any]) -> list[Any]:
    return [[(one["name"], _told(one["data"])) for one in group] for group in groups]


def _told(array: Any) -> Told:
    """The official package keeps the raw bytes of a bool (40); any but 0 is true."""
    return told(array != 0 if array.dtype == bool else array)
