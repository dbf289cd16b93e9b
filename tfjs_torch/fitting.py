"""Training: one loop for every model that this package trains, and what it says about how it went.

Losses and optimizers are those of tf.js' `model.fit`, on outputs that are probabilities already; a validation part is
drawn at random (tf.js takes the last rows, which are of one class in data that was collected class by class).
"""

from __future__ import annotations

import math
import numbers
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import torch
from torch import Tensor, nn

from .errors import MismatchError
from .history import History, shown
from .optimizers import EPSILON, NAMES, optimizer_of
from .randomness import Randomness

OnEpoch = Callable[[dict[str, Any]], Any]
Loss = Callable[[Tensor, Tensor], Tensor]

_FEW_NUMBERS: Final = 1 << 15  # of weights and of a batch, for which one thread is faster than several


def categorical_crossentropy(given: Tensor, targets: Tensor) -> Tensor:
    """Mean over the rows; `given` are probabilities (tfjs-layers/src/losses.ts)."""
    shares = given / given.sum(-1, keepdim=True)
    return -(targets * shares.clamp(EPSILON, 1 - EPSILON).log()).sum(-1).mean()


def mean_squared_error(given: Tensor, targets: Tensor) -> Tensor:
    """Mean over rows and outputs."""
    return (given - targets).square().mean()


_LOSSES: Final[Mapping[str, Loss]] = {
    "categoricalCrossentropy": categorical_crossentropy,
    "meanSquaredError": mean_squared_error,
}


def fit(
    module: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    loss: str = "categoricalCrossentropy",
    optimizer: str = "adam",
    learning_rate: float = 0.001,
    epochs: int = 10,
    batch_size: int = 32,
    validation_split: float = 0.1,
    seed: int | None = None,
    device: torch.device | str = "auto",
    on_epoch: OnEpoch | None = None,
    on_batch: Callable[[], Any] | None = None,
    progress: bool | None = None,
) -> History:
    """Train a module whose outputs are what the loss wants; those parameters that require gradients change.

    Args:
        module: takes float32 [batch, ...], gives [batch, units]. It ends in evaluation mode, where it was.
        inputs, targets: float32 [rows, ...] and [rows, units].
        loss: "categoricalCrossentropy" (outputs are probabilities) or "meanSquaredError".
        optimizer: "adam", "sgd" or "rmsprop", with tf.js' numbers.
        learning_rate, epochs, batch_size: as everywhere; an epoch sees all rows, shuffled.
        validation_split: share of the rows, drawn at random, that is only measured; 0 for none.
        seed: the same seed, data and machine give the same numbers; None draws other ones each time.
        device: "auto" takes a CUDA device where there is one.
        on_epoch: called with each epoch's dict. When it returns "stop", the training ends there as if `epochs` had been
            fewer; what it raises ends the training and undoes it.
        on_batch: called after each batch, likewise.
        progress: a bar on stderr; None shows one on a terminal.

    Returns:
        history: the numbers of every epoch.

    Raises:
        MismatchError: options out of range, no rows, or a loss that is no number any more. The module's weights are
            then what they were, as after any other error.

    Example:
        >>> import torch
        >>> x = torch.linspace(0, 1, 32)[:, None]
        >>> history = fit(torch.nn.Linear(1, 1), x, 2 * x, loss="meanSquaredError", learning_rate=0.1, seed=1)
        >>> history.loss[-1] < history.loss[0]
        True
        >>> net, done = torch.nn.Linear(1, 1), lambda epoch: "stop" if epoch["epoch"] == 3 else None
        >>> len(fit(net, x, 2 * x, loss="meanSquaredError", epochs=100, on_epoch=done).epochs)
        3
    """
    _check(len(inputs), epochs, batch_size, learning_rate, validation_split)
    _one_of("loss", loss, _LOSSES)
    _one_of("optimizer", optimizer, NAMES)
    place, seed = _device(device), _seed(seed)
    home = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    kept = {key: value.detach().clone() for key, value in module.state_dict().items()}
    run = _Run(module, _LOSSES[loss], loss == "categoricalCrossentropy", Randomness(seed, place), on_batch)
    shuffling = torch.Generator().manual_seed(seed)
    try:
        with torch.inference_mode(False), torch.enable_grad(), _bar(epochs, progress) as bar:
            rows, others = _parted(module.to(place), inputs, targets, float(validation_split), shuffling)
            trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
            steps = optimizer_of(optimizer, trained, float(learning_rate))
            history = History()
            with _one_thread(_is_small(trained, rows[0][: int(batch_size)])):
                for epoch in range(1, int(epochs) + 1):
                    found = run.epoch_and_measure(rows, others, int(batch_size), steps, shuffling)
                    _refuse_nonsense(found["loss"], epoch, learning_rate)
                    history.epochs.append({"epoch": epoch, "epochs": int(epochs), **found})
                    if _tell(history.epochs[-1], bar, on_epoch):
                        break
    except BaseException:
        module.load_state_dict(kept)
        raise
    finally:
        module.to(home).eval()
    return history


def _parted(
    module: nn.Module, inputs: Tensor, targets: Tensor, share: float, shuffling: torch.Generator
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor] | None]:
    """The rows to learn and those to measure (None for none), where and in what the module computes."""
    like = next(module.parameters(), inputs)
    order = torch.randperm(len(inputs), generator=shuffling)
    held = min(int(len(inputs) * share), len(inputs) - 1)

    def rows(chosen: Tensor) -> tuple[Tensor, Tensor]:
        return inputs[chosen].to(like.device, like.dtype), targets[chosen].to(like.device, like.dtype)

    return rows(order[held:]), rows(order[:held]) if held else None


def _tell(epoch: dict[str, Any], bar: Any, on_epoch: OnEpoch | None) -> bool:
    """Whether the callback wants no more."""
    if bar is not None:
        bar.set_postfix({key: f"{value:.4f}" for key, value in epoch.items() if "epoch" not in key}, refresh=False)
        bar.update()
    answer = on_epoch(dict(epoch)) if on_epoch else None
    return isinstance(answer, str) and answer == "stop"


def measured(
    module: nn.Module, inputs: Tensor, targets: Tensor, *, loss: str, batch_size: int = 256
) -> dict[str, float]:
    """{"loss"}, and "accuracy" of a classifier, in evaluation mode.

    Raises:
        MismatchError: no rows.

    Example:
        >>> import torch
        >>> measured(torch.nn.Identity(), torch.ones(2, 1), torch.zeros(2, 1), loss="meanSquaredError")
        {'loss': 1.0}
    """
    _check(len(inputs), 1, batch_size, 1, 0)
    _one_of("loss", loss, _LOSSES)
    like = next(module.parameters(), inputs)
    run = _Run(module, _LOSSES[loss], loss == "categoricalCrossentropy", None, None)
    return run.measure((inputs.to(like.device, like.dtype), targets.to(like.device, like.dtype)), batch_size)


class _Run:
    """Epochs of one module."""

    def __init__(
        self, module: nn.Module, loss: Loss, sorts: bool, chance: Randomness | None, on_batch: Callable[[], Any] | None
    ) -> None:
        self.module, self.loss, self.sorts, self.chance, self.on_batch = module, loss, sorts, chance, on_batch
        # A LayersModel knows what its file says of penalties and constraints; most files say nothing.
        said = {kind for weight in getattr(module, "layer_weights", ()) for kind, spec in weight.config.items() if spec}
        self.penalty: Any = getattr(module, "regularization_loss", None) if "regularizer" in said else None
        self.constrain: Any = getattr(module, "apply_constraints", None) if "constraint" in said else None

    def epoch_and_measure(
        self, rows: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor] | None, batch_size: int, steps: Any,
        shuffling: torch.Generator,
    ) -> dict[str, float]:  # fmt: skip
        order = torch.randperm(len(rows[0]), generator=shuffling).to(rows[0].device)
        found = self.epoch(rows, order.split(batch_size), steps)
        measured = self.measure(others, batch_size) if others else {}
        return {**found, **{f"val_{key}": value for key, value in measured.items()}}

    def epoch(self, rows: tuple[Tensor, Tensor], batches: tuple[Tensor, ...], steps: Any) -> dict[str, float]:
        self.module.train()
        total, right = torch.zeros((), device=rows[0].device), torch.zeros((), device=rows[0].device)
        for batch in batches:
            inputs, targets = rows[0][batch], rows[1][batch]
            with self.chance.drawing() if self.chance else nullcontext():
                given, loss = self._step(inputs, targets, steps)
            total += loss * len(batch)
            if self.sorts:
                right += (given.detach().argmax(-1) == targets.argmax(-1)).sum()
            if self.on_batch:
                self.on_batch()
        return self._said(total, right, len(rows[0]))

    def _step(self, inputs: Tensor, targets: Tensor, steps: Any) -> tuple[Tensor, Tensor]:
        steps.zero_grad(set_to_none=True)
        given = self.module(inputs)
        loss = self.loss(given, targets)
        if self.penalty:
            loss = loss + self.penalty()
        loss.backward()
        steps.step()
        if self.constrain:
            self.constrain()
        return given, loss.detach()

    def measure(self, rows: tuple[Tensor, Tensor], batch_size: int) -> dict[str, float]:
        self.module.eval()
        total, right = torch.zeros((), device=rows[0].device), torch.zeros((), device=rows[0].device)
        with torch.no_grad():
            for inputs, targets in zip(rows[0].split(batch_size), rows[1].split(batch_size), strict=True):
                given = self.module(inputs)
                total += self.loss(given, targets) * len(inputs)
                right += (given.argmax(-1) == targets.argmax(-1)).sum()
        return self._said(total, right, len(rows[0]))

    def _said(self, total: Tensor, right: Tensor, rows: int) -> dict[str, float]:
        found = {"loss": float(total) / rows}
        return {**found, "accuracy": float(right) / rows} if self.sorts else found


def _check(rows: int, epochs: int, batch_size: int, learning_rate: float, validation_split: float) -> None:
    def refuse(name: str, wanted: str, found: Any) -> None:
        raise MismatchError(name, f"{wanted} expected, found {found!r:.60}")

    if rows < 1:
        refuse("data", "at least one row", rows)
    for name, count in (("epochs", epochs), ("batch_size", batch_size)):
        if not isinstance(count, numbers.Integral) or isinstance(count, bool) or count < 1:
            refuse(name, "a whole number above 0", count)
    if not _is_number(learning_rate) or not 0 < learning_rate < math.inf:
        refuse("learning_rate", "a number above 0", learning_rate)
    if not _is_number(validation_split) or not 0 <= validation_split < 1:
        refuse("validation_split", "a share from 0 to below 1", validation_split)


def _one_of(name: str, value: Any, known: Iterable[str]) -> None:
    if value not in list(known):
        raise MismatchError(name, f"one of {', '.join(known)} expected, found {value!r:.60}")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _seed(seed: int | None) -> int:
    if seed is None:
        return int(torch.randint(2**31, ()).item())
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise MismatchError("seed", f"a whole number from 0 expected, found {seed!r:.40}")
    return int(seed)


def _device(device: torch.device | str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        wanted = '"auto" or a device of this machine expected'
        raise MismatchError("device", f"{wanted}, found {device!r}: {reason}") from None
    if found.type == "meta":
        raise MismatchError("device", 'a device that computes expected, found "meta"')
    return found


def _refuse_nonsense(loss: float, epoch: int, learning_rate: float) -> None:
    if not math.isfinite(loss):
        raise MismatchError(
            "training", f"a loss that is a number expected, found {loss} in epoch {epoch}; "
            f"a learning_rate below {learning_rate:g} helps, and data that are scaled to 0...1",
        )  # fmt: skip


def _is_small(parameters: list[nn.Parameter], batch: Tensor) -> bool:
    numbers = batch.numel() + sum(parameter.numel() for parameter in parameters)
    return batch.device.type == "cpu" and numbers < _FEW_NUMBERS


class _Threads:
    """How many torch had before the first of the trainings that run now."""

    lock: Final = threading.Lock()
    trainings = 0
    before = 1


@contextmanager
def _one_thread(wanted: bool) -> Iterator[None]:
    """torch wakes all its threads even for a softmax of 32 rows; where the machine is busy, a step then takes tens of
    times as long."""
    if not wanted:
        yield
        return
    with _Threads.lock:
        if not _Threads.trainings:
            _Threads.before = torch.get_num_threads()
        _Threads.trainings += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.trainings -= 1
            torch.set_num_threads(_Threads.before)  # of this thread, and of those that begin


@contextmanager
def _bar(epochs: int, progress: bool | None) -> Iterator[Any]:
    if not shown(progress):
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=epochs, desc="training", unit="epoch") as bar:
        yield bar
