"""The command line `tfjs-torch`: argv -> the library's calls.

Errors are one line on stderr, exit status 2; never a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from .._version import __version__
from ..errors import TfjsTorchError, TfjsTorchWarning
from . import converting, diffing, exporting, inspecting, ml5, predicting, serving, verifying
from .text import note

EXAMPLES = """examples:
  tfjs-torch inspect my-model
  tfjs-torch convert my-model weights.safetensors
  tfjs-torch convert changed.safetensors out --like my-model
  tfjs-torch diff my-model out
  tfjs-torch export net.py:Net out --input-shape 1,28,28
  tfjs-torch predict my-model x.npy
  tfjs-torch verify my-model
  tfjs-torch ml5 check my-model
  tfjs-torch ml5 train my-model data.json better
  tfjs-torch serve --open

Each command has its own --help with more.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as all errors."""
        self.exit(2, f"tfjs-torch: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (0 done, 1 `diff` or `verify` found differences, 2 error)."""
    parser = _Parser(
        prog="tfjs-torch",
        description="TensorFlow.js and ml5.js weights <-> PyTorch.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tfjs-torch {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (inspecting, converting, diffing, exporting, predicting, verifying, ml5, serving):
        command.add_to(commands)
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        parser.print_help()
        return 2
    args = parser.parse_args(argv)
    if sys.stdout is None:  # closed by the caller
        sys.stdout = io.StringIO()
    for stream in (sys.stdout, sys.stderr):  # a terminal without Unicode gets ? in names, not an error
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings(), _stopped_like_ctrl_c():
            warnings.simplefilter("once", TfjsTorchWarning)
            warnings.showwarning = _show_warning
            status: int = args.run(args)
            sys.stdout.flush()
            return status
    except TfjsTorchError as error:
        return _fail(str(error))
    except argparse.ArgumentTypeError as error:
        return _fail(str(error))
    except BrokenPipeError:  # the reader of our output has gone (| head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"{error.filename or 'file'}: {error.strerror or error}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return _fail(".pt files need PyTorch, found none; pip install torch, or use .safetensors or .npz")
    except MemoryError:
        return _fail("not enough memory for this model; close other programs")
    except KeyboardInterrupt:
        return _fail("stopped; nothing was written", status=130)


def _fail(message: str, status: int = 2) -> int:
    print(f"tfjs-torch: {' '.join(message.split())}", file=sys.stderr)
    return status


def _show_warning(message: Any, category: Any, *_: Any, **__: Any) -> None:
    if issubclass(category, TfjsTorchWarning):
        note(str(message))


@contextlib.contextmanager
def _stopped_like_ctrl_c() -> Iterator[None]:
    """`timeout`, `docker stop` and a closed terminal end a command as Ctrl-C does: with nothing left behind."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        signals = []
    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
