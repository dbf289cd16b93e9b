"""tfjs-torch ml5: check, repair, predict with and train what ml5 saved."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FilesError, MismatchError, warn
from .text import bars, number, plural, table

if TYPE_CHECKING:
    from ..ml5 import Finding

EXAMPLES = """PATH is the folder with the three files that nn.save() downloaded, a .zip of it, or the files themselves.

examples:
  tfjs-torch ml5 check my-model                         will every ml5 load these files?
  tfjs-torch ml5 check my-sketch                        ... and will sketch.js find them?
  tfjs-torch ml5 repair my-model mended                 ... and if not, mend them
  tfjs-torch ml5 predict my-model r=255 g=0 b=90        what nn.classify or nn.predict answers
  tfjs-torch ml5 predict my-model inputs.csv            many at once
  tfjs-torch ml5 train my-model data.json better        more training, with what nn.saveData() saved
"""
_CHECK = """Exit status: 0 ml5 0.12 and 1.x load the files by every route and answer right, 1 they do not, 2 error."""
_PREDICT = """INPUT is one of:
  r=255 g=0 b=90                 a value for each input
  '{"r": 255, "g": 0, "b": 90}'  the same as JSON; a JSON list is taken by position
  picture.png                    where the network takes pixels
  inputs.json, inputs.csv        many inputs: a list, or one a line
"""
_TRAIN = """Ctrl-C ends the training after its epoch and writes what it has learnt; pressed twice, it writes nothing."""
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
_MARKS = {"error": "error  ", "warning": "warning", "note": "note   "}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "ml5", help="check, repair, predict with and train what ml5 saved",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    own = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_check(own)
    _add_repair(own)
    _add_predict(own)
    _add_train(own)


def _add(own: Any, name: str, told: str, epilog: str | None = None) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = own.add_parser(
        name, help=told, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def _add_check(own: Any) -> None:
    parser = _add(own, "check", "what ml5 0.x and 1.x will do with these files, and how to mend it", _CHECK)
    parser.add_argument("path", metavar="PATH", nargs="+", help="folder, .zip, or the files")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_check)


def _add_repair(own: Any) -> None:
    parser = _add(own, "repair", "write the three files anew, so that every ml5 loads them")
    parser.add_argument("path", metavar="PATH", nargs="+", help="folder, .zip, or the files")
    parser.add_argument("out", metavar="OUT", help="folder or .zip to write")
    parser.set_defaults(run=_repair)


def _add_predict(own: Any) -> None:
    parser = _add(own, "predict", "what the sketch would answer", _PREDICT)
    parser.add_argument("path", metavar="PATH", help="folder, .zip or model.json")
    parser.add_argument("input", metavar="INPUT", nargs="+", help="values, or a file of them")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=_predict)


def _add_train(own: Any) -> None:
    parser = _add(own, "train", "go on training with more data, and save it for the sketch", _TRAIN)
    parser.add_argument("path", metavar="PATH", help="folder, .zip or model.json")
    parser.add_argument("data", metavar="DATA", help="what nn.saveData() saved (.json), or a .csv with a line of names")
    parser.add_argument("out", metavar="OUT", help="folder or .zip to write; a folder gets loss.svg, too")
    parser.add_argument("--name", default="model", help="name of the files (default: model, which every ml5 finds)")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="default: 10, as in ml5")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="default: 32, as in ml5")
    parser.add_argument("--learning-rate", type=float, metavar="X", help="default: ml5's own for the task")
    parser.add_argument("--validation-split", type=float, default=0.1, metavar="X", help="default: 0.1, as in ml5")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same network")
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: auto)")
    parser.add_argument("--curve", metavar="FILE", help="where the loss curve goes (default: loss.svg in OUT)")
    parser.set_defaults(run=_train)


def _check(args: argparse.Namespace) -> int:
    from ..ml5 import check

    found = [(source, check(source)) for source in _sources(args.path)]
    if args.json:
        listed = [finding.to_dict() for _, findings in found for finding in findings]
        print(json.dumps(listed, indent=1, ensure_ascii=False))
    else:
        for source, findings in found:
            _print_findings(source if len(found) > 1 else None, findings)
    return int(any(finding.severity == "error" for _, findings in found for finding in findings))


def _print_findings(source: Any, findings: Sequence[Finding]) -> None:
    if source is not None:
        print(f"{source}:")
    if not findings:
        print("ml5 0.12 and 1.x load these files by every route and answer right.")
    for finding in findings:
        print(f"{_MARKS[finding.severity]} {finding.where}: {finding.message}")
        if finding.fails and finding.routes not in finding.message:
            print(f"        goes wrong {finding.routes}")
        print(f"        {finding.advice}" + (" (tfjs-torch ml5 repair does it)" if finding.repairable else ""))


def _repair(args: argparse.Namespace) -> int:
    from ..ml5 import repair

    sources = _sources(args.path)
    if len(sources) > 1:
        raise FilesError("PATH", f"one save expected, found {len(sources)}; repair them one by one")
    done = repair(sources[0], args.out)
    print("\n".join(done or ["There was nothing to mend."]))
    print(f"written: {args.out}")
    return 0


def _predict(args: argparse.Namespace) -> int:
    network = _opened(args.path)
    inputs, single = _inputs(args.input, _number_columns(network))
    answer = getattr(network, "answer", None) or network.classify
    results = [answer(value) for value in inputs]
    if single and not (results[0] and isinstance(results[0][0], dict)):  # the JSON was a list of inputs
        results, single = results[0], False
    if args.json:
        print(json.dumps(results[0] if single else results, ensure_ascii=False))
        return 0
    for at, result in enumerate(results):
        if not single:
            print(f"{at + 1}:")
        key = "confidence" if "confidence" in result[0] else "value"
        rows = [[str(item["label"]), _shown(item[key], key)] for item in result]
        print(table(("label", key), rows, right=(1,)))
    return 0


def _shown(value: float, key: str) -> str:
    return f"{value:.4f}" if key == "confidence" else f"{value:.6g}"


def _opened(path: str) -> Any:
    """ml5's saves, and Teachable Machine's."""
    from .. import ml5, teachable
    from ..ml5.opening import is_teachable

    return teachable.load(path) if is_teachable(path) else ml5.load(path)


def _number_columns(network: Any) -> list[str]:
    """The inputs that are not one of several words: "05" may be a number, or a name."""
    columns = (getattr(network, "meta", None) or {}).get("inputs", {})
    return [name for name, column in columns.items() if column.get("dtype") != "string"]


def _inputs(given: Sequence[str], numbers: Sequence[str]) -> tuple[list[Any], bool]:
    """(the inputs, whether it is a single one)."""
    from ..ml5.data import Cell, numbers_of

    if all("=" in part and not Path(part).is_file() for part in given):
        values = {name: Cell(text) for name, _, text in (part.partition("=") for part in given)}
        return [numbers_of(values, numbers)], True
    inputs: list[Any] = []
    single = len(given) == 1
    for part in given:
        found, alone = _input(part, numbers)
        inputs += found
        single = single and alone
    return inputs, single


def _input(text: str, numbers: Sequence[str]) -> tuple[list[Any], bool]:
    if text.lstrip().startswith(("{", "[")):
        try:
            return [json.loads(text)], True
        except ValueError as error:
            raise MismatchError("INPUT", f"JSON expected, found: {error}") from None
    path = Path(text)
    if path.suffix.lower() in _PICTURES:
        return [text], True
    if not path.is_file():
        raise FilesError(text, "name=value, JSON, a picture or a file of inputs expected, found no such file")
    if path.suffix.lower() in (".wav", ".npy"):
        import numpy as np

        return [text if path.suffix.lower() == ".wav" else np.load(path, allow_pickle=False)], True
    from ..ml5.data import inputs_of

    return inputs_of(path, numbers), False


def _train(args: argparse.Namespace) -> int:
    from .. import ml5
    from ..ml5.writing import place_of

    place_of(args.out)  # before an hour of training, not after
    network = ml5.load(args.path)
    if not isinstance(network, ml5.NeuralNetwork):
        raise MismatchError(args.path, "a save of neuralNetwork expected, found something else; use Python for it")
    before, at_first = list(network.labels), _measured(network, args.data)
    line = _LossLine()

    def on_epoch(epoch: dict[str, Any]) -> str | None:
        line.show(epoch)
        return "stop" if came.is_set() else None

    try:
        with _first_ctrl_c() as came:
            history = network.train(
                args.data, epochs=args.epochs, batch_size=args.batch_size, learning_rate=args.learning_rate,
                validation_split=args.validation_split, seed=args.seed, device=args.device, on_epoch=on_epoch,
                progress=False,
            )  # fmt: skip
    finally:
        line.end()
    curve = _curve_path(args.out, args.curve)
    at_last = _measured(network, args.data)
    with _undisturbed():
        network.save(args.out, args.name)
        history.save_svg(curve)
    for note in history.notes:
        warn(note)
    new = [label for label in network.labels if label not in before]
    if new:
        print(f"new labels: {', '.join(new)}")
    done = plural(len(history.epochs), "epoch")
    print(f"{f'stopped after {done} of {args.epochs:,}' if history.stopped else done}: {_said(history.epochs[-1])}")
    print(f"on all these data: {at_first} before, {at_last} after")
    print(f"written: {args.out}, {curve}")
    return 0


@contextmanager
def _first_ctrl_c() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one is KeyboardInterrupt, as ever."""
    came = threading.Event()

    def first(*_: object) -> None:
        came.set()
        signal.signal(signal.SIGINT, before)
        with suppress(OSError):  # not print, which may be at work just now
            os.write(2, b"\nstopping after this epoch; Ctrl-C again quits, with nothing written\n")

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield came
        return
    signal.signal(signal.SIGINT, first)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without Ctrl-C, for the moment that writing takes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _measured(network: Any, data: str) -> str:
    """The share of right answers, or the loss of a regression."""
    found = network.evaluate(data)
    return f"{found['accuracy']:.1%} right" if "accuracy" in found else f"loss {number(found['loss'])}"


def _curve_path(out: str, given: str | None) -> Path:
    if given:
        return Path(given)
    path = Path(out)
    return path.with_name("loss.svg") if path.suffix.lower() == ".zip" else path / "loss.svg"


class _LossLine:
    """One line on a terminal that is written over at every epoch; a line now and then elsewhere."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.live = sys.stderr is not None and sys.stderr.isatty()

    def show(self, epoch: dict[str, Any]) -> None:
        """After every epoch."""
        self.losses.append(epoch["loss"])
        number_, of = epoch["epoch"], epoch["epochs"]
        if self.live:
            print(f"\r\x1b[Kepoch {number_}/{of}  {_said(epoch)}  {self._bars()}", end="", file=sys.stderr, flush=True)
        elif sys.stderr is not None and number_ in set(_milestones(of)):
            print(f"epoch {number_}/{of}  {_said(epoch)}", file=sys.stderr)

    def end(self) -> None:
        """When it is over, or was stopped."""
        if self.live and self.losses:
            print(file=sys.stderr)

    def _bars(self) -> str:
        """The last losses as blocks, as wide as there is room."""
        width = max(0, min(30, os.get_terminal_size(sys.stderr.fileno()).columns - 75))
        return bars([round(1000 * loss / max(self.losses)) for loss in self.losses[-width:]]) if width else ""


def _milestones(epochs: int) -> Iterator[int]:
    yield from (1, epochs)
    yield from (round(epochs * tenth / 10) for tenth in range(1, 10))


def _said(epoch: dict[str, Any]) -> str:
    words = {
        "loss": "loss",
        "accuracy": "accuracy",
        "val_loss": "validation loss",
        "val_accuracy": "validation accuracy",
    }
    return "  ".join(f"{word} {number(epoch[name])}" for name, word in words.items() if name in epoch)


def _sources(paths: Sequence[str]) -> list[Any]:
    """Several files are one save; folders and zips are one each."""
    alone = [path for path in paths if os.path.isdir(path) or path.lower().endswith(".zip")]
    files = [path for path in paths if path not in alone]
    return [*alone, *([files] if len(files) > 1 else files)]
