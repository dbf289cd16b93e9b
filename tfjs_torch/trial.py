"""A model tried with a batch of no samples: the shape of what each layer makes, for next to nothing.

Every layer's own code runs, on tensors that have sizes and no numbers: there is nothing to compute and nothing to keep.
(torch's meta device does the same; but its first operation imports a second's worth of tools for symbols.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .errors import MismatchError, TfjsTorchError, UnsupportedError
from .layers.network import LayersModel
from .layers.pooling import AveragePool, MaxPool
from .layers.preprocessing import RandomResize
from .layers.recurrent_cells import Cell
from .layers.recurrent_modules import CellModule, Layered, Recurrent
from .layers.wrappers import EveryStep

Shape = tuple["int | None", ...]
Path = tuple[str, ...]

# What stands for a size that the file leaves open: two, so that sizes which depend on it can be told from others.
# Models that halve and double their images need sizes that can be halved; 2^8 times something does for all known.
_OPEN_SIZES: Final = (768, 1280)
_MOST_CALLS: Final = 10_000  # models may be nested so that a short file calls its layers millions of times
_MOST_NUMBERS: Final = 1 << 22  # in a tensor that no input changes, such as a mask of attention
_MOST_SECONDS: Final = 3.0  # a thousand layers take a fifth of one
_FACTORIES: Final = frozenset({torch.arange, torch.empty, torch.eye, torch.full, torch.ones, torch.rand, torch.zeros})
_ALIKE: Final = frozenset({Tensor.new_empty, Tensor.new_full, Tensor.new_ones, Tensor.new_zeros})
_RESHAPES: Final = frozenset({Tensor.reshape, Tensor.view, torch.reshape})


class Trial:
    """A model that is called with no samples, twice where sizes are open: what depends on them differs.

    Attributes:
        entered: the shapes of the inputs.
        shapes: of what each layer makes when it is first called, by its path through the nested models; () has the
            model's outputs.
        runs: False where layers do not fit each other.
        problem: why something is missing.
    """

    def __init__(self, model: LayersModel) -> None:
        self.shapes: dict[Path, tuple[Shape, ...]] = {}
        self.runs = True
        self.problem = ""
        self._model = model
        self._seen: dict[Path, tuple[tuple[int, ...], ...]] = {}
        self._at: tuple[Path, nn.Module | None] = ((), None)
        self._calls = 0
        self._drawn: list[tuple[RandomResize, tuple[float, float]]] = []  # layers that draw a size between two others
        self.entered = [_entered(model, index) for index in range(len(model.input_names))]
        self._sizes_open = any(None in shape[1:] for shape in self.entered if shape)
        unsaid = [name for name, shape in zip(model.input_names, self.entered, strict=True) if shape is None]
        if unsaid:
            self.problem = f"shapes are not known, since the file does not say that of the input {unsaid[0]!r}"
        else:
            self._try()

    def _try(self) -> None:
        try:
            self._prepare()
        except Exception as error:  # weights that the machine has no memory for
            self._fail(error)
            return
        first = self._call(0)
        last = self._call(1) if self._sizes_open or self._drawn else first
        batch = next((shape[0] for shape in self.entered if shape and shape[0] is not None), None)
        for path in first.keys() & last.keys():
            pairs = list(zip(first[path], last[path], strict=False))
            if all(len(one) == len(other) for one, other in pairs):
                self.shapes[path] = tuple(_merged(one, other, batch) for one, other in pairs)
            else:
                self.problem = self.problem or "where even the number of axes depends on open sizes, it is not known"

    def _prepare(self) -> None:
        for module in self._model.eval().modules():
            for tensors in (module._parameters, module._buffers):
                tensors.update({name: _untouched(tensor) for name, tensor in tensors.items()})
            if isinstance(module, Recurrent):
                _work_one_step(module)
            if isinstance(module, Layered):
                module.directions = tuple(map(_plainest, module.directions))
            elif isinstance(module, CellModule):
                module.cell = _plainest(module.cell)
            elif isinstance(module, AveragePool):  # counts the cells of its windows, which do not depend on samples
                module.__dict__["pool"] = partial(MaxPool.pool, module)  # type: ignore[arg-type]
            elif isinstance(module, EveryStep):
                module.told, module.in_turn = True, False
            elif isinstance(module, RandomResize):
                self._drawn.append((module, (module.lower, module.upper)))
            elif isinstance(module, LayersModel):
                module._told.update(module.layers)
        self._watch(self._model, ())

    def _watch(self, model: LayersModel, above: Path) -> None:
        for name in {call.layer: None for call in model._wiring.calls}:
            module, path = model.get_layer(name), (*above, name)
            module.register_forward_pre_hook(partial(self._begin, path))
            module.register_forward_hook(partial(self._end, path))
            if isinstance(module, LayersModel):
                self._watch_masked(module, path)
                self._watch(module, path)

    def _watch_masked(self, module: LayersModel, path: Path) -> None:
        """Where masks reach a nested model, it is not called as a module."""
        run: Any = module._run_as_tfjs

        def watched(*args: Any) -> Any:
            self._begin(path, module)
            made = run(*args)
            self._end(path, module, (), made[0])
            return made

        module.__dict__["_run_as_tfjs"] = watched

    def _begin(self, path: Path, module: nn.Module, *_: Any) -> None:
        self._at = path, module
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise _Beyond("model", f"at most {_MOST_CALLS:,} calls of layers expected, found more")

    def _end(self, path: Path, module: nn.Module, _: Any, made: Any) -> None:
        self._seen.setdefault(path, _shapes(made))

    def _call(self, turn: int) -> dict[Path, tuple[tuple[int, ...], ...]]:
        """What each layer makes with the one or the other size for those that are open."""
        self._seen, self._at, self._calls = {}, ((), None), 0
        for module, limits in self._drawn:
            module.lower = module.upper = limits[turn]
        try:
            self._model.reset_states()
            with torch.no_grad(), _Sampleless():
                self._seen[()] = _shapes(self._model(*self._inputs(turn)))
        except Exception as error:  # a registered layer may raise anything
            self._fail(error)
        return self._seen

    def _inputs(self, turn: int) -> list[Tensor]:
        size = _OPEN_SIZES[turn]
        given = []
        for index, shape in enumerate(self.entered):
            open_size = 1 if turn and self._model.takes_any_length(index) else size
            given.append(torch.empty(0, *(open_size if n is None else n for n in (shape or ())[1:])))
        return given

    def _fail(self, error: Exception) -> None:
        path, module = self._at
        said = said_of(error) if module is None else f"layer {'/'.join(path)!r}: {said_of(error)}"
        if isinstance(error, _Beyond) or self._sizes_open or not _built_in(module):
            self.problem = f"shapes are known only before this: {said}"
        else:
            self.problem, self.runs = said, False


def _entered(model: LayersModel, index: int) -> Shape | None:
    """The shape of an input; sizes are open where those in the file say nothing."""
    shape = model.input_shapes[index]
    return shape and (shape[0], *[None] * (len(shape) - 1)) if model.takes_any_length(index) else shape


class _Beyond(UnsupportedError):
    """What would take too long, or too much memory, to find out."""


class _Sampleless(TorchFunctionMode):
    """What operations on tensors without samples need: sizes that can still be told, and no large memory."""

    def __init__(self) -> None:
        super().__init__()
        self._until = time.monotonic() + _MOST_SECONDS

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _RESHAPES and -1 in (sizes := _sizes_in(args[1:])) and not args[0].numel():
            args = (args[0], *_told(args[0].shape, sizes))
        elif func is torch.var_mean and not args[0].numel():
            kwargs = {**(kwargs or {}), "correction": -1}  # torch warns of the variance of nothing
        elif func is F.interpolate and not args[0].numel():
            return _stretched(*args, **(kwargs or {}))
        count = _numbers(func, args)
        if count > _MOST_NUMBERS:
            raise _Beyond("model", f"at most {_MOST_NUMBERS:,} numbers that no input changes expected, found {count:,}")
        if time.monotonic() > self._until:
            raise _Beyond("model", f"at most {_MOST_SECONDS:g} seconds to find shapes out expected; that took longer")
        return func(*args, **(kwargs or {}))


def _told(found: Sequence[int], wanted: list[int]) -> list[int]:
    """A size of -1 told, which torch does not do where there are no numbers to count."""
    if wanted.count(0) < list(found).count(0):  # the samples are to go there
        return [0 if size == -1 else size for size in wanted]
    size, rest = divmod(math.prod(filter(None, found)), math.prod(size for size in wanted if size > 0))
    if rest or wanted.count(-1) > 1:
        raise MismatchError("reshape", f"{wanted} expected of what has {list(found)}; it does not come out even")
    return [size if each == -1 else each for each in wanted]


def _stretched(x: Tensor, size: Any = None, scale_factor: Any = None, *_: Any, **__: Any) -> Tensor:
    """F.interpolate: torch's own makes tables as long as the new sides."""
    given = scale_factor if size is None else size
    each = list(given) if isinstance(given, (tuple, list)) else [given] * (x.dim() - 2)
    sizes = each if size is not None else [int(n * times) for n, times in zip(x.shape[2:], each, strict=True)]
    return x.new_empty(*x.shape[:2], *sizes)


def _numbers(func: Any, args: Sequence[Any]) -> int:
    """How many numbers an operation has to do with (about): none where one of the tensors has no samples."""
    tensors = [arg for arg in args if isinstance(arg, Tensor)]
    if func in _FACTORIES:
        return math.prod(_sizes_in(args))
    if func in _ALIKE:
        return math.prod(_sizes_in(args[1:]))
    if func is Tensor.sort:  # it counts places, with samples or without
        return max(args[0].shape, default=0)
    if len(tensors) < 2 or not all(tensor.numel() for tensor in tensors):
        return 0
    return math.prod(map(max, zip_longest(*(reversed(tensor.shape) for tensor in tensors), fillvalue=1)))


def _sizes_in(args: Sequence[Any]) -> list[int]:
    """Sizes given one by one, or in a list."""
    given = args[0] if args and isinstance(args[0], (tuple, list)) else args
    return [int(size) for size in given if isinstance(size, (int, float))]


def _untouched(tensor: Any) -> Any:
    """Memory for a weight. It is never written to and hardly ever read, so that the system need not really have it.

    torch's own to_empty imports its tools for symbols first, which takes a second.
    """
    return torch.empty(tensor.shape, dtype=tensor.dtype) if tensor is not None and tensor.is_meta else tensor


def _plainest(cell: Cell) -> Cell:
    """With the functions that torch's own kernels have: shapes are the same, and no weights are put in order first."""
    return cell._replace(activation=torch.tanh, gate=torch.sigmoid, two_biases=cell.bias)


def _work_one_step(module: Recurrent) -> None:
    """A recurrent layer makes the same of every step: one is enough, however many there are."""
    run = module._run

    def run_one(x: Tensor, states: Any, mask: Tensor | None) -> Any:
        outputs, last = run(x[:, :1], states, None if mask is None else mask[:, :1])
        if module.settings.return_sequences:
            outputs = [made.new_empty(made.shape[0], x.shape[1], *made.shape[2:]) for made in outputs]
        return outputs, last

    module.__dict__["_run"] = run_one


def _shapes(made: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(tensor.shape) for tensor in (made if isinstance(made, (list, tuple)) else [made]))


def _merged(one: Sequence[int], other: Sequence[int], batch: int | None) -> Shape:
    """What both have in common. There are no samples, so that a size of 0 is that of the batch."""
    sizes = zip(one, other, strict=True)
    return tuple(None if x != y else x or (None if axis else batch) for axis, (x, y) in enumerate(sizes))


def _built_in(module: nn.Module | None) -> bool:
    """Whether a layer is known to run without samples if it runs with some."""
    homes = {type(part).__module__.partition(".")[0] for part in module.modules()} if module is not None else set()
    return homes <= {__package__, "torch"}


def said_of(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if isinstance(error, TfjsTorchError) else f"{type(error).__name__}: {text}"
