"""The real decode_weights and write_weights of the package `tensorflowjs`, without the rest of it.

`import tensorflowjs` pulls in TensorFlow, JAX and a decision-forest package whose protobuf version
clashes on a fresh machine. The two functions need none of that: their modules are loaded here one
by one, with a stand-in for the one thing they take from TensorFlow (a file-opening function).

Install with `pip install "tfjs_torch[tensorflowjs]"`, or only this: `pip install --no-deps tensorflowjs`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

from .errors import UnsupportedError

_MODULES = ("quantization", "read_weights", "write_weights")
_lock = threading.Lock()
_loaded: dict[str, ModuleType] = {}


def decode_weights(weights_manifest: Any, data_buffers: Any, flatten: bool = False) -> Any:
    """tensorflowjs.read_weights.decode_weights, as it is, defects included.

    Raises:
        UnsupportedError: the package is not installed.
    """
    return _module("read_weights").decode_weights(weights_manifest, data_buffers, flatten=flatten)


def write_weights(
    weight_groups: Any,
    write_dir: str,
    shard_size_bytes: int = 4 * 1024 * 1024,
    write_manifest: bool = True,
    quantization_dtype_map: Any = None,
) -> Any:
    """tensorflowjs.write_weights.write_weights, as it is, defects included.

    Raises:
        UnsupportedError: the package is not installed.
    """
    return _module("write_weights").write_weights(
        weight_groups, write_dir, shard_size_bytes, write_manifest, quantization_dtype_map
    )


def _module(name: str) -> ModuleType:
    with _lock:
        if not _loaded:
            _loaded.update(_load())
        return _loaded[name]


def _load() -> dict[str, ModuleType]:
    spec = importlib.util.find_spec("tensorflowjs")  # finds the package without running it
    if spec is None or not spec.submodule_search_locations:
        raise UnsupportedError(
            "engine tensorflowjs",
            "the package tensorflowjs expected, found none; pip install --no-deps tensorflowjs (the two "
            'functions need nothing else) or pip install "tfjs_torch[tensorflowjs]" (the whole of it)',
        )
    package = ModuleType("tensorflowjs")
    package.__path__ = list(spec.submodule_search_locations)
    tensorflow: Any = ModuleType("tensorflow")
    tensorflow.io = SimpleNamespace(gfile=SimpleNamespace(GFile=open))
    hidden = {"tensorflowjs": package, "tensorflow": tensorflow, **{f"tensorflowjs.{m}": None for m in _MODULES}}
    before = {name: sys.modules[name] for name in hidden if name in sys.modules}
    try:
        for name in hidden:
            sys.modules.pop(name, None)
        sys.modules["tensorflowjs"], sys.modules["tensorflow"] = package, tensorflow
        return {name: importlib.import_module(f"tensorflowjs.{name}") for name in _MODULES}
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
        sys.modules.update(before)
