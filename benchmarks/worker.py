"""One job in a fresh process: `python -m benchmarks.worker '{"job": ..., ...}'` prints its result as JSON.

Nothing is imported here that a job does not need: what is resident before it starts is not the job's.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import memory
from .model import MB, Model, make
from .timing import Patience, Samples, take_turns


def make_model(model: dict[str, Any], folder: str, peers_too: bool) -> None:
    make(Model(**model), Path(folder), peers_too)
    os.sync()  # what is written back later would disturb the measurements


def time_loading(folder: str, contestants: list[str], touched: bool, patience: dict[str, Any]) -> Samples:
    from .loaders import LOADERS, touch

    def load(name: str) -> object:
        tensors = LOADERS[name](Path(folder))
        if touched:
            touch(tensors)
        return tensors

    return take_turns({name: functools.partial(load, name) for name in contestants}, Patience(**patience))


def memory_of_loading(folder: str, contestant: str, storage: str) -> int:
    """Bytes resident at the peak of loading beyond those before it and those of the tensors."""
    from .loaders import LOADERS

    with _small_model(storage) as small:
        LOADERS[contestant](small)
    memory.forget_peak()
    before = memory.peak()
    tensors = LOADERS[contestant](Path(folder))
    return memory.peak() - before - sum(tensor.nbytes for tensor in tensors.values())


def time_saving(folder: str, contestants: list[str], quantize: str | None, patience: dict[str, Any]) -> Samples:
    from .savers import SAVERS, edited, remove_output

    tensors = edited(Path(folder))
    savers = {name: functools.partial(SAVERS[name], tensors, Path(folder), quantize) for name in contestants}
    return take_turns(savers, Patience(**patience), lambda: remove_output(Path(folder)))


def memory_of_saving(folder: str, contestant: str) -> int:
    """Bytes resident at the peak of saving beyond those before it, the tensors' own among these."""
    from .savers import SAVERS, edited, remove_output

    with _small_model("float32") as small:
        SAVERS[contestant](edited(small), small, None)
    tensors = edited(Path(folder))
    memory.forget_peak()
    before = memory.peak()
    SAVERS[contestant](tensors, Path(folder), None)
    remove_output(Path(folder))
    return memory.peak() - before


def time_limits(nbytes: int, folder: str, patience: dict[str, Any]) -> Samples:
    from .limits import limits, remove_file

    return take_turns(limits(nbytes, Path(folder)), Patience(**patience), lambda: remove_file(Path(folder)))


def memory_of_command(arguments: list[str]) -> int:
    """All bytes resident at the peak of a tfjs-torch command, Python itself included."""
    sys.argv = ["tfjs-torch", *arguments]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            runpy.run_module("tfjs_torch", run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
    return memory.peak()


def make_network(network: str | int, folder: str) -> None:
    from .forward import write
    from .networks import NETWORKS, heavy

    write(heavy(network) if isinstance(network, int) else NETWORKS[network](), Path(folder))


def time_forward(network: str, batch: int, contestants: list[str], patience: dict[str, Any]) -> Samples:
    from .forward import time_forward

    return time_forward(network, batch, contestants, Patience(**patience))


def time_training(network: str, batch: int, contestants: list[str], patience: dict[str, Any]) -> Samples:
    from .forward import time_training

    return time_training(network, batch, contestants, Patience(**patience))


def first_prediction(folder: str) -> float:
    """Seconds from model.json to the first output; torch is imported, nothing of ours is."""
    import torch

    x = torch.rand(1, 224, 224, 3)
    torch.set_num_threads(2)
    start = time.perf_counter()
    from tfjs_torch import load_model

    with torch.inference_mode():
        load_model(folder)(x)
    return time.perf_counter() - start


def first_prediction_of_tfjs(folder: str) -> float:
    from .tfjs import first_prediction

    return first_prediction(Path(folder))


def memory_of_load_model(folder: str, small: str) -> int:
    """Bytes resident at the peak of load_model beyond those before it."""
    from tfjs_torch import load_model

    load_model(small)  # lazy imports are not the job's
    memory.forget_peak()
    before = memory.peak()
    model = load_model(folder)
    found = memory.peak() - before
    del model  # alive until here
    return found


@contextlib.contextmanager
def _small_model(storage: str) -> Iterator[Path]:
    """To do the job once before memory is counted: lazy imports are not the job's."""
    with tempfile.TemporaryDirectory() as folder:
        make(Model(MB, 4, storage), Path(folder), peers_too=True)
        yield Path(folder)


JOBS = {
    job.__name__: job
    for job in (
        make_model, time_loading, memory_of_loading, time_saving, memory_of_saving, time_limits, memory_of_command,
        make_network, time_forward, time_training, first_prediction, first_prediction_of_tfjs, memory_of_load_model,
    )
}  # fmt: skip


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    print(json.dumps(JOBS[arguments.pop("job")](**arguments)))
