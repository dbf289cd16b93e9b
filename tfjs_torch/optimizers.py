"""Optimizers with the numbers of tf.js: torch's own where they are the same, else written here.

Source: tfjs-core/src/optimizers of tf.js 4.22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import nn

from .errors import MismatchError

EPSILON: Final = 1e-7  # tf.js' backend().epsilon()
NAMES: Final = ("adam", "sgd", "rmsprop")


def optimizer_of(name: str, parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """One of NAMES, with tf.js' other settings.

    Raises:
        MismatchError: no parameters.

    Example:
        >>> import torch
        >>> type(optimizer_of("sgd", [torch.nn.Parameter(torch.zeros(1))], 0.2)).__name__
        'SGD'
    """
    if not parameters:
        raise MismatchError(
            "model", "weights that may change expected, found all of them frozen (trainable: false); "
            "set requires_grad of those that shall learn",
        )  # fmt: skip
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=learning_rate)
    if name == "rmsprop":
        return RMSprop(parameters, learning_rate)
    try:
        return torch.optim.Adam(parameters, lr=learning_rate, eps=EPSILON, fused=True)  # some three times as fast
    except RuntimeError:  # not on this device, or in this torch
        return torch.optim.Adam(parameters, lr=learning_rate, eps=EPSILON)


class RMSprop(torch.optim.Optimizer):
    """tf.train.rmsprop: torch's adds epsilon to the root, tf.js within it, which small gradients feel.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> steps = RMSprop([weight], 0.01)
        >>> (0.5 * weight**2).sum().backward()
        >>> steps.step()
        >>> round(weight.item(), 6)
        0.968377
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, decay: float = 0.9) -> None:
        super().__init__(parameters, {"lr": learning_rate, "decay": decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step down the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                squares = state.setdefault("mean_square", torch.zeros_like(parameter))
                squares.mul_(group["decay"]).addcmul_(parameter.grad, parameter.grad, value=1 - group["decay"])
                parameter.addcdiv_(parameter.grad, (squares + EPSILON).sqrt(), value=-group["lr"])
        return None
