"""Layer: how one class of tf.js becomes a torch module, and where its weights lie in it.

A layer is one class with one method:

    @register("Scale", becomes="y = gain * x")
    class Scale(Layer):
        def build(self):
            (size,) = self.weight("gain", "weight")
            return ScaleModule(size)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, NamedTuple, TypeVar

from torch import Tensor, nn

from ..errors import MismatchError, TopologyError, UnsupportedError
from ..layout import AS_IS, Constant, Layout
from ..wiring import Node, node_of
from .config import Config
from .stored import StoredWeights

Shape = tuple[int, ...]


class Weight(NamedTuple):
    """Tensors of tf.js that become tensors of torch.

    Attributes:
        names: their names in the manifest; none where only torch has such a tensor.
        shapes: their shapes in the manifest.
        keys: the names in the module's state_dict.
        layout: how the numbers lie on each side.
        config: the options "initializer", "regularizer" and "constraint" of the weight, and "trainable" of its
            layer, as the JSON has them.
            "ones": the rows that begin as ones, whatever the initializer (an LSTM's forget gates).
        keys_optional: whether a state_dict may lack the keys (num_batches_tracked).
    """

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    keys: tuple[str, ...]
    layout: Layout
    config: Mapping[str, Any]
    keys_optional: bool = False

    def to_torch(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{key: tensor} of {name: tensor}."""
        made = self.layout.to_torch(*(tensors[name] for name in self.names))
        return dict(zip(self.keys, made, strict=True))

    def to_tfjs(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{name: tensor} of {key: tensor}.

        Raises:
            MismatchError: a shape that does not fit, or a number that tf.js has no place for.
        """
        given = [state_dict[key] for key in self.keys if key in state_dict or not self.keys_optional]
        where = ", ".join(self.keys)
        try:
            made = self.layout.to_tfjs(*given) if len(given) == len(self.keys) else ()
        except (ValueError, RuntimeError) as error:
            raise MismatchError(where, str(error)) from None
        for name, tensor, shape in zip(self.names, made, self.shapes, strict=True):
            if tuple(tensor.shape) != shape:
                raise MismatchError(where, f"{list(shape)} for {name} expected, found {list(tensor.shape)}")
        return dict(zip(self.names, made, strict=True))

    def below(self, prefix: str) -> Weight:
        return self._replace(keys=tuple(f"{prefix}.{key}" for key in self.keys))


class Context(NamedTuple):
    """What all layers of a model share.

    Attributes:
        stored: the manifest's tensors.
        keras: Keras' semantics instead of tf.js'.
        keras_version: major version of Keras in the file (2 where it does not say).
        outer: names of the models around the layer, the outermost first.
    """

    stored: StoredWeights
    keras: bool
    keras_version: int
    outer: tuple[str, ...] = ()


class Layer:
    """One layer on its way from JSON to torch. Subclasses have `build`, and say what they do with masks.

    Attributes:
        node: name, class and config as the JSON has them.
        config: the options; read every one that the class has.
        weights: what `weight` and `constant` have claimed.
        scope: where the weights are named in the manifest.
    """

    becomes: ClassVar[str] = ""
    passes_mask: ClassVar[bool] = False  # tf.js hands the input's mask on to the output ...
    passes_mask_in_keras: ClassVar[bool | None] = None  # ... and Keras, where that is different
    makes_mask: ClassVar[bool] = False  # the module has compute_mask(inputs, masks)
    takes_mask: ClassVar[bool] = False  # the module's forward has mask=
    takes_all_masks: ClassVar[bool] = False  # ... which is the list of all inputs' masks
    arguments: ClassVar[tuple[str, ...]] = ()  # the inputs' names, where Keras gives some by keyword
    call_options: ClassVar[tuple[str, ...]] = ()  # what forward takes by keyword besides
    takes_ids: ClassVar[bool] = False  # integers are welcome as they are
    any_length: ClassVar[bool] = False  # inputs are not held to the shape that the file has for them
    fresh: bool = False  # its output is memory of its own, and its gradient does not need it: it may be overwritten
    starts_mask: bool = False  # masks where none was before

    def __init__(self, node: Node, context: Context, scope: str | None = None, owner: str | None = None) -> None:
        self.node = node
        self.name = node.name
        self.context = context
        self.keras = context.keras
        self.where = f"layer {node.name!r} ({node.class_name})"
        self.config = Config(self.where, node.config, context.keras)
        self.scope = node.name if scope is None else scope
        self.owner = node.name if owner is None else owner
        self.weights: list[Weight] = []

    def build(self) -> nn.Module:
        """The module, on the meta device where it has weights; every option read, every weight claimed."""
        raise NotImplementedError

    def finish(self) -> nn.Module:
        """build, and nothing may be left over."""
        module = self.build()
        self.config.refuse_rest()
        self._tell_of_half_precision()
        return module

    def weight(
        self,
        name: str,
        key: str | tuple[str, ...],
        layout: Layout = AS_IS,
        shape: tuple[int | None, ...] | None = None,
    ) -> Shape:
        """Claim a weight.

        Args:
            name: its name in tf.js, such as "kernel".
            key: its name(s) in the module's state_dict.
            layout: how one becomes the other.
            shape: what the config wants, None for any size.

        Returns:
            its shape in tf.js.

        Raises:
            MismatchError: the manifest lacks it, or has another shape.
        """
        spec = self.context.stored.claim(self.owner, self.scope, name, self.context.outer)
        if spec is None:
            raise self.context.stored.missing(self.where, self.scope, name)
        self.check(spec.name, spec.shape, shape)
        keys = (key,) if isinstance(key, str) else key
        self.weights.append(Weight((spec.name,), (spec.shape,), keys, layout, self._options_of(name)))
        return spec.shape

    def passes_as_keras(self) -> bool:
        """Whether a mask goes through in Keras, whatever semantics were asked for."""
        return self.passes_mask if self.passes_mask_in_keras is None else self.passes_mask_in_keras

    def has_weight(self, name: str) -> bool:
        return self.context.stored.find(self.owner, self.scope, name, self.context.outer) is not None

    def weight_shape(self, name: str) -> Shape:
        """The shape of a weight that is not claimed yet.

        Raises:
            MismatchError: the manifest lacks it.
        """
        spec = self.context.stored.find(self.owner, self.scope, name, self.context.outer)
        if spec is None:
            raise self.context.stored.missing(self.where, self.scope, name)
        return spec.shape

    def length_of(self, name: str) -> int:
        """The length of a weight of rank 1, which is not claimed yet.

        Raises:
            MismatchError: the manifest lacks it, or it has another rank.
        """
        shape = self.weight_shape(name)
        self.check(name, shape, (None,))
        return shape[0]

    def check(self, name: str, found: Shape, wanted: tuple[int | None, ...] | None) -> None:
        """Raises MismatchError where a stored shape is not what the config wants."""
        if wanted is None:
            return
        if len(found) != len(wanted) or any(w not in (None, f) for f, w in zip(found, wanted, strict=True)):
            shape = ", ".join("any" if size is None else str(size) for size in wanted)
            raise MismatchError(f"{self.where}: {name}", f"the shape [{shape}] expected, found {list(found)}")

    def constant(self, key: str, value: float, shape: Shape) -> None:
        """A tensor of torch that tf.js does not have."""
        self.weights.append(Weight((), (), (key,), Constant(value, shape), {}))

    def child(self, node: Node, prefix: str, scope: str | None = None) -> tuple[Layer, nn.Module]:
        """A layer inside of this one; its weights come under `prefix` in the state_dict ("" for none)."""
        inner = find(node)(node, self.context, scope, None if scope is None else self.owner)
        module = inner.finish()
        self.weights += [weight.below(prefix) for weight in inner.weights] if prefix else inner.weights
        self.config.quirks += [f"{inner.where}: {quirk}" for quirk in inner.config.quirks]
        return inner, module

    def nested(self, key: str, required: bool = True) -> Node | None:
        """The layer that the config holds under `key`: {class_name, config}.

        Raises:
            TopologyError: it holds something else.
        """
        found = self.config.get(key, None)
        if found is None and not required:
            return None
        if not isinstance(found, dict) or not isinstance(found.get("class_name"), str):
            raise TopologyError(f"{self.where}: {key}", f"a layer {{class_name, config}} expected, found {found!r:.60}")
        return node_of(found, f"{self.where}: {key}", self.name, self.keras)

    def tell_of_shifted_windows(self, kernel: Shape, strides: Shape) -> None:
        """The quirk of 3-D windows with padding="same" (geometry.same_pads: may_be_negative)."""
        if not self.keras and any(width < stride for width, stride in zip(kernel, strides, strict=True)):
            self.config.quirk("tf.js shifts 3-D windows that are narrower than their strides, Keras does not")

    def _tell_of_half_precision(self) -> None:
        policy = self.config.get("dtype", None)
        options = policy.get("config") if isinstance(policy, dict) else None
        name = options.get("name") if isinstance(options, dict) else policy
        if isinstance(name, str) and "float16" in name:
            self.config.quirk(f"tf.js and this package compute in float32, Keras in {name}", in_both=True)

    def passes(self) -> bool:
        """Whether a mask goes through, in the semantics that were asked for."""
        if self.keras and self.passes_mask_in_keras is not None:
            return self.passes_mask_in_keras
        return self.passes_mask

    def _options_of(self, name: str) -> dict[str, Any]:
        stem = {"recurrent_kernel": "recurrent", "depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise"}
        kinds = ("initializer", "regularizer", "constraint")
        options = {kind: self.config.get(f"{stem.get(name, name)}_{kind}", None) for kind in kinds}
        return {**options, "trainable": self.config.get("trainable", True)}


Registered = TypeVar("Registered", bound="type[Layer]")
_LAYERS: Final[dict[str, type[Layer]]] = {}


def register(*class_names: str, becomes: str) -> Callable[[Registered], Registered]:
    """Class decorator: these classes of tf.js are built by this Layer. A name registered before is replaced.

    Args:
        class_names: as `class_name` in model.json.
        becomes: what they become in torch, in a few words, for the table of supported layers.

    Example:
        >>> import torch
        >>> from tfjs_torch.layers import Layer, register, supported_layers
        >>> @register("Twice", becomes="2 * x")
        ... class Twice(Layer):
        ...     def build(self):
        ...         return TwiceModule()
        >>> class TwiceModule(torch.nn.Module):
        ...     def forward(self, x):
        ...         return 2 * x
        >>> supported_layers()["Twice"]
        '2 * x'
    """

    def keep(layer: Registered) -> Registered:
        for name in class_names:
            _LAYERS[name] = layer
            _BECOMES[name] = becomes
        return layer

    return keep


_BECOMES: Final[dict[str, str]] = {}


def find(node: Node) -> type[Layer]:
    """The Layer of a class of tf.js.

    Raises:
        UnsupportedError: nobody has registered it.
    """
    name = node.class_name.rpartition(">")[2]  # Keras writes "package>Class" for registered custom layers
    if name not in _LAYERS:
        code = "; it holds code, which is never run from a file" if name in ("Lambda", "TFOpLambda") else ""
        raise UnsupportedError(
            f"layer {node.name!r}",
            f"a known class of layers expected, found {node.class_name!r}{code}; "
            "write it in torch and add it with tfjs_torch.layers.register (samples/custom_layer.py shows how)",
        )
    return _LAYERS[name]


def supported_layers() -> dict[str, str]:
    """Every class name of tf.js and Keras that load_model builds: {class name: what it becomes in torch}.

    Raises nothing.

    Example:
        >>> from tfjs_torch import supported_layers
        >>> supported_layers()["Conv2D"]
        'nn.Conv2d'
    """
    return dict(sorted(_BECOMES.items()))
