"""LayersModel: the layers of a model, called in the order of its wiring; tensors as tf.js has them, channels last."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from ..errors import MismatchError, TopologyError, warn
from ..wiring import Wiring
from .functions import looked_on
from .geometry import channels_last
from .planning import MAKES, PASSES, Behaviour, Step, lay_out, overwriting
from .prediction import predict
from .registry import Weight
from .training import constrain, initialize, penalty


class LayersModel(nn.Module):
    """A model of tf.js as a module: `forward` takes its inputs, gives one output or a list of them.

    Submodules are called as the layers are, so the state_dict's keys are `<layer>.<key>`; a layer called
    "block.conv" is found under that very name.
    """

    def __init__(self, wiring: Wiring, keras: bool) -> None:
        super().__init__()
        self.artifacts: Any = None
        self._paths: dict[str, list[str]] = {}  # of the layers whose module does not stand under their plain name
        self.layer_weights: tuple[Weight, ...] = ()
        self._wiring = wiring
        self._keras = keras
        self._steps: tuple[Step, ...] = ()
        # The steps once more, with as little as a plain one needs (the step itself where it is not plain).
        self._walk: tuple[tuple[str, tuple[int, ...], tuple[int, ...], Step | None], ...] = ()
        self._outputs: tuple[int, ...] = ()
        # tf.js takes a model that a Sequential begins with apart, and its masks stay.
        first = wiring.nodes[0]
        self._merged = first.name if wiring.class_name == "Sequential" and first.model else None
        self._chain: tuple[str, ...] | None = None
        self._expected: tuple[tuple[int | None, ...] | None, ...] | None = None
        self._id_inputs: frozenset[str] = frozenset()
        self._any_length: frozenset[str] = frozenset()
        self.makes_masks = False
        self._told: set[str] = set()  # the layers whose leaking mask the user has heard of

    @property
    def input_names(self) -> list[str]:
        return [entry.name for entry in self._wiring.inputs]

    @property
    def output_names(self) -> list[str]:
        return [ref.layer for ref in self._wiring.outputs]

    @property
    def input_shapes(self) -> list[tuple[int | None, ...] | None]:
        """Batch first; None is left open (a whole shape too, where the file does not say)."""
        return [entry.shape for entry in self._wiring.inputs]

    @property
    def takes_ids(self) -> list[bool]:
        """For each input, whether all layers that take it want integers as they are (an Embedding)."""
        return [entry.name in self._id_inputs for entry in self._wiring.inputs]

    def takes_any_length(self, index: int) -> bool:
        """Whether the file's shape of an input says nothing (see Layer.any_length)."""
        return self._wiring.inputs[index].name in self._any_length

    @property
    def layers(self) -> list[str]:
        """The layers' names, in the order of the file."""
        return [node.name for node in self._wiring.nodes]

    def add_layer(self, name: str, path: str, module: nn.Module) -> None:
        """Put a layer's module at its path, which may be the name of a method of torch's modules."""
        parent: Any = self
        *scopes, leaf = path.split(".")
        for scope in scopes:
            if scope not in parent._modules:
                parent._modules[scope] = nn.Module()  # not add_module: a layer may be called "forward"
            parent = parent._modules[scope]
        parent._modules[leaf] = module
        if path != name or scopes:
            self._paths[name] = path.split(".")

    def get_layer(self, name: str) -> nn.Module:
        """The module of a layer."""
        path = self._paths.get(name)
        if path is None:
            return self._modules[name]  # type: ignore[return-value]
        module: Any = self
        for part in path:
            module = module._modules[part]
        return module  # type: ignore[no-any-return]

    def set_plan(self, behaviour: dict[str, Behaviour], masked: bool, id_layers: set[str], fresh: set[str]) -> None:
        """Lay out the calls.

        Args:
            behaviour: of each layer.
            masked: whether any layer makes masks.
            id_layers: the layers that take integers as they are.
            fresh: the layers whose outputs may be overwritten.
        """
        self._steps, self._outputs = lay_out(self._wiring, behaviour, self._keras)
        self._walk = tuple((step.layer, step.inputs, step.done, None if step.plain else step) for step in self._steps)
        users = {entry: [c.layer for c in self._wiring.calls if entry.ref in c.inputs] for entry in self._wiring.inputs}
        for name in overwriting(self._steps, fresh):
            module: Any = self.get_layer(name)
            if isinstance(module, (nn.ReLU, nn.ReLU6, nn.Hardtanh)):
                module.inplace = True
            elif hasattr(module, "may_overwrite"):
                module.may_overwrite = True
        self._id_inputs = frozenset(entry.name for entry, by in users.items() if by and {*by} <= id_layers)
        self._any_length = frozenset(
            entry.name for entry, by in users.items() if by and all(behaviour[layer].any_length for layer in by)
        )
        plain = all(
            step.inputs == (i,)
            and step.outputs == 1
            and not (step.options or step.named or step.given_masks)
            and step.layer not in self._paths
            for i, step in enumerate(self._steps)
        )
        self.makes_masks = masked or any(step.given_masks or step.runs > 1 for step in self._steps)
        if plain and not self.makes_masks and self._outputs == (len(self._steps),):
            self._chain = tuple(step.layer for step in self._steps)

    def forward(self, *inputs: Tensor) -> Any:
        if self._expected is not None:
            self._check(inputs)
        if self._chain is not None and len(inputs) == 1:
            modules = self._modules
            (x,) = inputs
            for name in self._chain:
                x = modules[name](x)  # type: ignore[misc]
            return _first(x)
        return self.run_masked(inputs, None)[0] if self.makes_masks else self._run_plainly(inputs)

    def check_inputs(self) -> None:
        """Hold the inputs to input_shapes from now on (nested models are not: tf.js does not look there).

        Number of axes and last axis only: what is not flattened runs on images and sequences of any size.
        """
        self._expected = tuple(
            entry.shape and entry.shape[1:] if entry.name not in self._any_length else None
            for entry in self._wiring.inputs
        )

    def _check(self, inputs: Sequence[Tensor]) -> None:
        expected = self._expected or ()
        if len(inputs) != len(expected):
            names = ", ".join(self.input_names)
            raise MismatchError("model", f"{len(expected)} inputs expected ({names}), found {len(inputs)}")
        for index, (x, shape) in enumerate(zip(inputs, expected, strict=True)):
            if not isinstance(x, Tensor):
                said = f"a tensor of torch expected, found {type(x).__name__}; model.predict takes arrays and lists"
                raise MismatchError(f"input {self.input_names[index]!r}", said)
            found = x.shape[1:]
            if shape is None or found == shape:
                continue
            if len(found) != len(shape) or (shape and shape[-1] not in (None, found[-1])):
                raise self.unfit_input(index, x)

    def unfit_input(self, index: int, x: Tensor) -> MismatchError:
        """An input that is not of the shape that the file says."""
        entry = self._wiring.inputs[index]
        shape = (None, *(entry.shape or (None,))[1:])
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        hint = ""
        if x.dim() == len(shape) - 1:
            hint = "; a single sample needs a batch axis in front: x[None]"
        elif x.dim() == len(shape) > 2 and x.shape[1] == shape[-1] and None not in shape[1:]:
            axes = ", ".join(map(str, channels_last(x.dim() - 2)))
            hint = f"; channels come last here: x.permute({axes}), in numpy x.transpose({axes})"
        return MismatchError(f"input {entry.name!r}", f"the shape [{wanted}] expected, found {list(x.shape)}{hint}")

    def predict(self, x: Any, batch_size: int = 32) -> Any:
        """Outputs as numpy, in evaluation mode, without gradients, `batch_size` samples at a time.

        Args:
            x: an array, batch first; several inputs as a list in the order of input_names, or {name: array}.
                Floats and integers of any width; they are cast to what the model computes in.
            batch_size: samples a call; tf.js takes 32, too (it matters to stateful models only).

        Returns:
            float32 array, or a list of them when the model has several outputs.

        Raises:
            MismatchError: a shape or a number of samples that does not fit.
        """
        return predict(self, x, batch_size)

    def reset_parameters(self) -> None:
        """Draw all weights anew, by the initializers that the file names."""
        initialize(self, self.layer_weights)

    def regularization_loss(self) -> Tensor:
        """The sum of all weights' L1 and L2 penalties, as a scalar to add to the loss."""
        return penalty(self, self.layer_weights)

    def apply_constraints(self) -> None:
        """Bring weights back within their constraints (MaxNorm, NonNeg, ...): call it after each optimizer step."""
        constrain(self, self.layer_weights)

    def _run_plainly(self, inputs: Sequence[Tensor]) -> Any:
        values: list[Any] = list(inputs)
        modules: Any = self._modules
        for name, taken, done, step in self._walk:
            module = self.get_layer(name) if name in self._paths else modules[name]
            if step is None:
                values.append(_first(module(*[values[i] for i in taken])))
            else:
                values += _wanted(module(*[values[i] for i in taken], **step.keywords(values)), step)
            for i in done:
                values[i] = None
        return self._result(values)

    def run_masked(self, inputs: Sequence[Tensor], masks: Any) -> tuple[Any, list[Tensor | None]]:
        """With masks: (outputs, their masks). `masks` is a list in Keras' semantics, a Leak or None in tf.js'."""
        if self._keras:
            return self._run_as_keras(inputs, masks or [None] * len(inputs))
        return self._run_as_tfjs(inputs, masks)[:2]

    def _run_as_tfjs(self, inputs: Sequence[Tensor], leak: Leak | None) -> tuple[Any, list[Tensor | None], Leak | None]:
        values: list[Any] = list(inputs)
        masks: list[Tensor | None] = [None] * len(inputs)
        in_keras = [leak is not None and leak.inside] * len(inputs)  # which values are masked there
        late: dict[int, Tensor] = {}  # what the last run of a layer made: the model gives this, layers took the first
        for step in self._steps:
            args = [values[i] for i in step.inputs]
            given = [masks[i] for i in step.inputs]
            here = any(in_keras[i] for i in step.inputs)
            if any(mask is not None for mask in given):
                leak = Leak() if leak is None else leak
                leak.mask = given[0]
            module = self.get_layer(step.layer)
            if isinstance(module, LayersModel) and step.layer == self._merged:
                made, after, leak = module._run_as_tfjs(args, leak)
                self._append(step, made, after, values, masks)
                in_keras += [mask is not None for mask in masks[len(in_keras) :]]
                continue
            if isinstance(module, LayersModel):
                masked = module.makes_masks or leak is not None
                with contextlib.nullcontext() if leak is None else leak.entering(here):
                    made = module.run_masked(args, leak)[0] if masked else module(*args)
            else:
                keywords = step.keywords(values)
                if step.takes_all_masks:
                    keywords["mask"] = given
                elif step.takes_mask:
                    keywords["mask"] = None if leak is None else leak.mask
                    if keywords["mask"] is not None and given[0] is None and not here:
                        self._tell_of_leak(step.layer)
                made = module(*args, **keywords)
                for _ in range(step.runs - 1):
                    late.update(enumerate(module(*args, **keywords), step.output))
            self._append(step, made, self._mask_after(step, module, args, given), values, masks)
            stays = here and self._stays_in_keras(step, module, args, leak)
            in_keras += [stays or mask is not None for mask in masks[len(in_keras) :]]
        result = self._result([late.get(i, value) for i, value in enumerate(values)])
        return result, [masks[i] for i in self._outputs], leak

    def _run_as_keras(
        self, inputs: Sequence[Tensor], given_masks: Sequence[Tensor | None]
    ) -> tuple[Any, list[Tensor | None]]:
        values: list[Any] = list(inputs)
        masks: list[Tensor | None] = list(given_masks)
        for step in self._steps:
            args = [values[i] for i in step.inputs]
            given = [masks[i] for i in step.inputs]
            if step.given_masks:
                given = [values[i].bool() for i in step.given_masks]
            module = self.get_layer(step.layer)
            if isinstance(module, LayersModel):
                made, after = module.run_masked(args, given)
                self._append(step, made, after, values, masks)
                continue
            keywords = step.keywords(values)
            if step.takes_mask:
                keywords["mask"] = given if len(given) > 1 or step.takes_all_masks else given[0]
            made = module(*args, **keywords)
            self._append(step, made, self._mask_after(step, module, args, given), values, masks)
        return self._result(values), [masks[i] for i in self._outputs]

    @staticmethod
    def _stays_in_keras(step: Step, module: Any, args: list[Any], leak: Leak | None) -> bool:
        """Whether what a layer makes of a masked value is masked in Keras; in doubt yes, and nothing is told."""
        joins = len(args) > 1 and (step.takes_all_masks or not step.takes_mask)
        if isinstance(module, LayersModel) or (step.masks == MAKES and (joins or leak is None)):
            return True
        if step.masks != MAKES or leak is None:
            return step.passes_as_keras
        made = module.compute_mask(args, [leak.mask, *[None] * (len(args) - 1)])
        return any(mask is not None for mask in (made if isinstance(made, list) else [made]))

    def _tell_of_leak(self, layer: str) -> None:
        if layer not in self._told and not looked_on():
            self._told.add(layer)
            said = 'tf.js keeps the mask of an earlier layer and masks it with that; semantics="keras" does not'
            warn(f"layer {layer!r}: {said}")

    def _mask_after(self, step: Step, module: Any, args: list[Any], given: list[Tensor | None]) -> Any:
        if step.masks == MAKES:
            return module.compute_mask(args, given)
        return given[0] if step.masks == PASSES else None

    @staticmethod
    def _append(step: Step, made: Any, mask: Any, values: list[Any], masks: list[Tensor | None]) -> None:
        wanted = _wanted(made, step)
        values += wanted
        masks += [*mask, *[None] * len(wanted)][: len(wanted)] if isinstance(mask, list) else [mask] * len(wanted)
        for i in step.done:
            values[i] = None

    def _result(self, values: Sequence[Any]) -> Any:
        return values[self._outputs[0]] if len(self._outputs) == 1 else [values[i] for i in self._outputs]

    @property
    def run_again(self) -> list[str]:
        """The layers that tf.js runs several times a call."""
        return [step.layer for step in self._steps if step.runs > 1]

    def reset_states(self) -> None:
        """Forget what stateful recurrent layers remember between calls."""
        for module in self.modules():
            if module is not self and hasattr(module, "forget"):
                module.forget()  # type: ignore[operator]


class Leak:
    """tf.js keeps the last mask for all later layers of a call, masked or not, nested models included."""

    mask: Tensor | None = None
    inside: bool = False  # of a nested model: whether its inputs are masked in Keras, too

    @contextlib.contextmanager
    def entering(self, masked: bool) -> Iterator[None]:
        before, self.inside = self.inside, masked
        yield
        self.inside = before


def _wanted(made: Any, step: Step) -> list[Any]:
    outputs = made if isinstance(made, (list, tuple)) else [made]
    if len(outputs) < step.outputs:
        raise TopologyError(f"layer {step.layer!r}", f"{step.outputs} outputs expected, found {len(outputs)}")
    return list(outputs[: step.outputs])


def _first(made: Any) -> Any:
    return made[0] if isinstance(made, (list, tuple)) else made
