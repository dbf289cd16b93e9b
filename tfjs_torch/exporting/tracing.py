"""The traced module, run twice at once: with numbers in torch, and with the rules that make tf.js' layers."""

from __future__ import annotations

import builtins
import contextlib
import inspect
import operator
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.parametrize import is_parametrized

from ..errors import MismatchError, UnsupportedError
from . import activations, convolution, linear, merging, normalization, pooling, recurrent, shaping
from .graph import Graph, Record, Shape, Symbol
from .refusals import RANDOM, reason
from .registry import FUNCTIONS, MODULES, Rule
from .shaping import stacked
from .site import Site
from .values import Order, States, Value, as_it_is, channels_last

FAMILIES: Final = (activations, convolution, linear, merging, normalization, pooling, recurrent, shaping)

BATCH: Final = 2  # of the sample; the check at the end takes another, so that nothing hangs on it
_RANDOM: Final = "a forward() without random numbers expected; tf.js' layers would draw others, or none"
_QUESTIONS: Final = ("size", "dim", "numel", "ndimension", "is_floating_point", "get_device", "element_size", "stride",
                     "new_zeros", "new_ones", "new_full", "new_empty")  # fmt: skip
_LIKE: Final = (torch.zeros_like, torch.ones_like, torch.full_like, torch._assert, builtins.len, builtins.isinstance)
_SEQUENCES: Final = (nn.Conv1d, nn.ConvTranspose1d, nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d,
                     nn.AdaptiveMaxPool1d, nn.BatchNorm1d, nn.InstanceNorm1d, nn.ZeroPad1d, nn.Dropout1d)  # fmt: skip
_SEQUENCE_FUNCTIONS: Final = (F.conv1d, torch.conv1d, F.max_pool1d, F.avg_pool1d, F.adaptive_avg_pool1d)
_AS_IT_IS: Final = (nn.Linear, nn.LSTM, nn.RNN, nn.LayerNorm)
_TURNS: Final = ("permute", "transpose", "movedim", "swapaxes", torch.permute, torch.transpose, torch.movedim)


@dataclass(frozen=True)
class Stale:
    """A tensor that was changed through another view of it."""

    where: str


@dataclass(frozen=True)
class Traced:
    """What came of a module: inputs and outputs of tf.js, and the order in which tf.js has torch's axes."""

    graph: Graph
    inputs: list[Symbol]
    input_orders: list[Order]
    ids: list[Symbol]
    outputs: list[Value]


def trace(module: nn.Module, shapes: Sequence[Shape], names: dict[str, str]) -> Traced:
    """Run the module on a sample in evaluation mode, making layers on the way.

    Raises:
        UnsupportedError: something that no layer of tf.js expresses; names the module.
        MismatchError: the inputs do not fit the module.
    """
    known = set(vars(module))
    try:
        with evaluating(module), torch.no_grad(), torch.random.fork_rng(devices=[]):
            traced = _graph_of(module, len(shapes))
            paths = [path for path, _ in module.named_modules()]
            wanted = {*paths, *(str(node.target) for node in traced.nodes if node.op == "placeholder")}
            unknown = [path for path in names if path not in wanted]
            if unknown:
                listed = ", ".join(sorted(wanted - {""})[:20])
                raise MismatchError("names", f"paths of submodules expected, found {unknown}; there are {listed}")
            return _Run(module, traced, shapes, Graph(names, paths)).run()
    finally:
        for name in set(vars(module)) - known:  # torch.fx leaves the constants of forward() there
            delattr(module, name)


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    before = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def _graph_of(module: nn.Module, inputs: int) -> fx.Graph:
    parameters = list(inspect.signature(module.forward).parameters.values())
    options = {p.name: p.default for p in parameters[inputs:] if p.default is not inspect.Parameter.empty}
    if type(module).__module__.startswith("torch.nn") and not isinstance(module, (nn.Sequential,)):
        module = nn.Sequential(module)  # fx would trace into it
        options = {}
    state = torch.random.get_rng_state()
    try:
        traced = fx.Tracer().trace(module, concrete_args=options or None)
    except Exception as error:  # torch.fx runs the user's forward(): anything may come out of it
        raise UnsupportedError(
            type(module).__name__,
            "a forward() that does the same for every input expected; torch.fx could not follow it: "
            f"{' '.join(str(error).split())[:300]}",
        ) from error
    if not torch.equal(state, torch.random.get_rng_state()):
        raise UnsupportedError(type(module).__name__, _RANDOM)
    return traced


class _Run:
    def __init__(self, module: nn.Module, traced: fx.Graph, shapes: Sequence[Shape], graph: Graph) -> None:
        self.root = module
        self.modules = dict(module.named_modules(remove_duplicate=False))
        self.nodes = list(traced.nodes)
        self.shapes, self.graph = shapes, graph
        self.found: dict[fx.Node, Any] = {}  # what rules made: Values, or anything that is not computed from the input
        self.ran: dict[fx.Node, Any] = {}  # what torch computed
        self.inputs: list[Symbol] = []
        self.input_orders: list[Order] = []
        self.ids: list[Symbol] = []
        self.random = torch.Generator().manual_seed(0)  # not the user's, whose numbers are to stay as they were
        first = next((p for p in module.parameters() if p.is_floating_point()), None)
        self.dtype = torch.float32 if first is None else first.dtype
        self.device = torch.device("cpu") if first is None else first.device

    def run(self) -> Traced:
        last_use = {used: node for node in self.nodes for used in node.all_input_nodes}
        outputs: list[Value] = []
        for node in self.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "get_attr":
                self.found[node] = self.ran[node] = operator.attrgetter(str(node.target))(self.root)
            elif node.op == "output":
                outputs = self._outputs(node)
            else:
                self._call(node)
            for used in node.all_input_nodes:
                if last_use[used] is node:
                    self.ran.pop(used, None)
        unused = len(self.shapes) - len(self.inputs)
        if unused:
            raise MismatchError(
                type(self.root).__name__, f"{len(self.inputs)} input(s) expected, found {len(self.shapes)} shapes"
            )
        return Traced(self.graph, self.inputs, self.input_orders, self.ids, outputs)

    def _placeholder(self, node: fx.Node) -> None:
        if len(self.inputs) == len(self.shapes):
            if not node.args:
                raise MismatchError(
                    type(self.root).__name__, f"a shape for every input expected, found none for {node.target!r}"
                )
            self.found[node] = self.ran[node] = node.args[0]
            return
        shape = (BATCH, *self.shapes[len(self.inputs)])
        kind = _first_use(node, self.modules, len(shape))
        self.ran[node] = (
            torch.zeros(shape, dtype=torch.int64, device=self.device)
            if kind == "ids"
            else torch.rand(shape, generator=self.random).to(self.device, self.dtype)
        )
        order = as_it_is(len(shape)) if kind != "channels" else channels_last(len(shape))
        name = self.graph.name_of(str(node.target))
        sizes = tuple(shape[axis] for axis in order[1:])
        config = {"batch_input_shape": [None, *sizes], "dtype": "float32", "sparse": False}
        symbol = self.graph.add(Record(name, "InputLayer", config), [], sizes)
        self.inputs.append(symbol)
        self.ids += [symbol] if kind == "ids" else []
        self.input_orders.append(order)
        self.found[node] = Value(shape, order, symbol)

    def _call(self, node: fx.Node) -> None:
        where, target = self._where(node), self._target(node)
        args, kwargs = (fx.node.map_arg(each, self.found.__getitem__) for each in (node.args, node.kwargs))
        given = _flat([args, kwargs])
        _refuse_stale(where, given)
        if getattr(target, "__name__", target) in RANDOM:
            raise UnsupportedError(where, _RANDOM)
        versions = {n: t._version for n, t in self.ran.items() if isinstance(t, Tensor) and not t.is_inference()}
        result = self.ran[node] = self._compute(node, where)
        if not any(isinstance(one, Value) for one in given) or _asks(node):
            self.found[node] = result
            return
        passed = self._passed_through(node, target, result, versions)
        self.found[node] = self._exported(node, where, target, args, kwargs, result) if passed is None else passed
        for other, version in versions.items():
            changed = self.ran[other]
            if isinstance(self.found[other], Value) and changed._version != version:
                self.found[other] = self.found[node] if _is_same(changed, result) else Stale(where)

    def _compute(self, node: fx.Node, where: str) -> Any:
        args: Any = fx.node.map_arg(node.args, self.ran.__getitem__)
        kwargs: Any = fx.node.map_arg(node.kwargs, self.ran.__getitem__)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the user has met them, or will
                if node.op == "call_module":
                    return self._target(node)(*args, **kwargs)
                if node.op == "call_method":
                    return getattr(args[0], str(node.target))(*args[1:], **kwargs)
                return node.target(*args, **kwargs)  # type: ignore[operator]
        except Exception as error:  # the user's own code and torch's modules run here
            said = " ".join(str(error).split())
            raise MismatchError(where, f"an input_shape that fits the module expected; torch says: {said}") from error

    def _passed_through(self, node: fx.Node, target: Any, result: Any, versions: dict[fx.Node, int]) -> Any:
        """What somebody's function without a rule does outside of training, if that is nothing (stochastic depth)."""
        if (
            node.op != "call_function"
            or _rule(node, target)
            or "training" not in getattr(target, "__annotations__", ())
        ):
            return None
        same = (n for n in node.all_input_nodes if self.ran[n] is result and result._version == versions.get(n))
        return next((self.found[n] for n in same), None)

    def _exported(self, node: fx.Node, where: str, target: Any, args: Any, kwargs: Any, result: Any) -> Any:
        if target is operator.getitem and isinstance(args[0], tuple) and not isinstance(args[0], States):
            return args[0][args[1]]
        rule = _rule(node, target)
        if rule is None:
            raise UnsupportedError(where, reason(target))
        shape = tuple(result.shape) if isinstance(result, Tensor) else ()
        floating = not isinstance(result, Tensor) or result.is_floating_point()
        path = self._path(node) if node.op == "call_module" else node.name
        site = Site(self.graph, path, where, shape, node, floating)
        if 0 in shape:
            site.refuse(f"a tensor with elements expected, found shape {list(shape)}")
        if target is not operator.getitem:
            args, kwargs = (_map(each, lambda states: stacked(site, states)) for each in (args, kwargs))
        first = (target,) if node.op == "call_module" else ()
        try:
            inspect.signature(rule).bind(site, *first, *args, **kwargs)
        except TypeError as error:
            raise UnsupportedError(where, f"arguments that can be exported expected; {error}") from None
        made = rule(site, *first, *args, **kwargs)
        self._check(site, made, result)
        return made

    def _check(self, site: Site, made: Any, result: Any) -> None:
        """Our bookkeeping against what torch computed: rather an error than a wrong model."""
        if not isinstance(made, Value) or not isinstance(result, Tensor):
            return
        if made.shape != tuple(result.shape) or made.sized(made.order) != made.symbol.shape:
            shapes = f"{list(made.shape)}, {list(made.symbol.shape)} in tf.js"
            site.refuse(f"shape {list(result.shape)} expected, found {shapes}; please report this")

    def _outputs(self, node: fx.Node) -> list[Value]:
        found = fx.node.map_arg(node.args[0], self.found.__getitem__)
        listed = list(found.values()) if isinstance(found, dict) else found
        if isinstance(listed, Value) or not isinstance(listed, (tuple, list)) or isinstance(listed, States):
            listed = [listed]
        values: list[Value] = []
        for one in _flattened(listed):
            values.append(self._output(len(values), one, [value.symbol for value in values]))
        return values

    def _output(self, number: int, found: Any, taken: Sequence[Symbol]) -> Value:
        """The batch first, then the channels last; or as torch has it, where the module itself has come to that."""
        site = Site(self.graph, f"output{number}" if number else "output", f"output {number}")
        if isinstance(found, States):
            found = stacked(site, found)
        _refuse_stale(site.where, [found])
        if not isinstance(found, Value):
            site.refuse(f"a tensor that is computed from the input expected, found {_kind(found)}")
        value = site.unflattened(found)
        if value.rank > 1:  # else [batch, 1]: tf.js has no layers without features
            order, batch = value.full_order(), value.full_order()[0]
            plain = (batch, *(axis for axis in range(value.rank) if axis != batch))
            image = value.rank > 3 and batch == 0 and order != plain
            value = site.arrange(
                value, channels_last(value.rank) if image or order == channels_last(value.rank) else plain
            )
        if value.symbol.layer.class_name == "InputLayer" or value.symbol in taken:
            value = activations.activate(site, value, "linear")  # tf.js gives each tensor once
        return value

    def _target(self, node: fx.Node) -> Any:
        if node.op == "call_module":
            return self.modules.get(str(node.target), self.root)
        return node.target

    def _path(self, node: fx.Node) -> str:
        path = str(node.target)
        return path if path in self.modules else type(self.root).__name__.lower()

    def _where(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return f"{self._path(node)} ({type(self._target(node)).__name__})"
        stack = node.meta.get("nn_module_stack") or {}
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        inside = next(reversed(stack.values()))[0] if stack else ""
        return f"{inside or type(self.root).__name__}: {name}"


def _refuse_stale(where: str, given: Sequence[Any]) -> None:
    for one in given:
        if isinstance(one, Stale):
            raise UnsupportedError(where, f"a tensor that nothing changes in place expected; {one.where} did")


def _rule(node: fx.Node, target: Any) -> Rule | None:
    if node.op == "call_module":
        return MODULES.get(type(target).__bases__[0] if is_parametrized(target) else type(target))
    try:
        return FUNCTIONS.get(target)
    except TypeError:  # not hashable
        return None


def _asks(node: fx.Node) -> bool:
    """Whether only the shape or the kind of a tensor is asked for."""
    if node.op == "call_method":
        return node.target in _QUESTIONS
    if node.target is getattr:
        return node.args[1] in ("shape", "dtype", "device", "ndim", "is_cuda", "requires_grad")
    return node.op == "call_function" and node.target in _LIKE


def _is_same(a: Tensor, b: Any) -> bool:
    return isinstance(b, Tensor) and (a.data_ptr(), a.shape, a.stride()) == (b.data_ptr(), b.shape, b.stride())


def _flat(given: Any) -> list[Any]:
    if isinstance(given, States):
        return list(given)
    if isinstance(given, dict):
        given = list(given.values())
    return [one for each in given for one in _flat(each)] if isinstance(given, (tuple, list)) else [given]


def _flattened(listed: Sequence[Any]) -> list[Any]:
    """Outputs in tuples in tuples, one after the other."""
    nested = [
        _flattened(one) if isinstance(one, (tuple, list)) and not isinstance(one, States) else [one] for one in listed
    ]
    return [one for each in nested for one in each]


def _map(given: Any, change: Callable[[States], Value]) -> Any:
    if isinstance(given, States):
        return change(given)
    if isinstance(given, (tuple, list)):
        return type(given)([_map(one, change) for one in given]) if type(given) in (tuple, list) else given
    return {key: _map(one, change) for key, one in given.items()} if isinstance(given, dict) else given


def _kind(found: Any) -> str:
    return "a constant" if isinstance(found, Tensor) else f"{type(found).__name__} {found!r:.40}"


def _first_use(node: fx.Node, modules: dict[str, nn.Module], rank: int) -> str:
    """What an input is: "ids", "channels" (before space, in torch), or "plain"."""
    seen, queue = {node}, list(node.users)
    while queue:
        user = queue.pop(0)
        target = modules.get(str(user.target)) if user.op == "call_module" else user.target
        if isinstance(target, nn.Embedding) or target in (F.embedding, "long", "int"):
            return "ids"
        name = getattr(target, "__name__", type(target).__name__)
        if rank > 3 and name.endswith(("2d", "3d")):
            return "channels"
        if target in _TURNS or (rank == 3 and isinstance(target, _AS_IT_IS)):
            return "plain"
        if rank == 3 and (isinstance(target, _SEQUENCES) or target in _SEQUENCE_FUNCTIONS):
            return "channels"
        if user not in seen and not _asks(user):
            seen.add(user)
            queue += user.users
    return "channels" if rank > 3 else "plain"
