"""tfjs-torch serve: the server and its page."""

from __future__ import annotations

import argparse

from ..errors import FilesError, UnsupportedError

EXAMPLES = """examples:
  tfjs-torch serve --open                          the page, on this machine only
  tfjs-torch serve --host 0.0.0.0 --token secret   for a classroom: all may look, who writes needs the token
  tfjs-torch serve --store models --expire 30d     stored models outlive a restart
  tfjs-torch serve --processor steps.py:sharpen    a step of your own
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "serve", help="start the server and its page",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--port", type=int, default=8000, help="port (default: 8000; 0: any free one)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument("--max-upload", default="1GiB", metavar="SIZE", help="largest request (default: 1GiB)")
    parser.add_argument("--store", metavar="DIR", help="folder of stored models (default: in the temp folder)")
    parser.add_argument("--quota", default="10GiB", metavar="SIZE", help="room for stored models (default: 10GiB)")
    parser.add_argument("--expire", default="7d", metavar="TIME", help="unused models go after this time (default: 7d)")
    parser.add_argument("--token", help="what writing needs as Authorization: Bearer TOKEN")
    parser.add_argument(
        "--allow-origin", action="append", metavar="ORIGIN",
        help="only web pages of this origin may call, such as https://editor.p5js.org; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="a name of this server besides localhost, for proxies on this machine; * is any",
    )  # fmt: skip
    parser.add_argument(
        "--processor", action="append", default=[], metavar="FILE.py:FUNCTION",
        help="a step of your own: function(state_dict, options) -> state_dict; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--train-rows", type=int, default=20_000, metavar="N", help="rows that one may finetune with (default: 20000)"
    )
    parser.add_argument("--train-epochs", type=int, default=1000, metavar="N", help="most epochs (default: 1000)")
    parser.add_argument("--train-seconds", type=int, default=120, metavar="N", help="longest time (default: 120)")
    parser.add_argument(
        "--max-pixels", type=int, default=1 << 24, metavar="N", help="of a picture to ask about (default: 16777216)"
    )
    parser.add_argument(
        "--max-sound", default="16MiB", metavar="SIZE", help="largest .wav to ask about (default: 16MiB)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in your browser")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        from tfjs_torch_server import Settings
        from tfjs_torch_server.running import run as serve
        from tfjs_torch_server.settings import parse_duration, parse_size
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "serve", f"FastAPI and uvicorn expected, found no {error.name}; pip install 'tfjs_torch[server]'"
        ) from None
    _check(args)
    try:
        settings = Settings(
            store=args.store, max_upload=parse_size(args.max_upload), quota=parse_size(args.quota),
            expire=parse_duration(args.expire), token=args.token,
            allow_origins=tuple(args.allow_origin or ("*",)), allow_hosts=_hosts(args),
            processors=tuple(args.processor), train_rows=args.train_rows, train_epochs=args.train_epochs,
            train_seconds=args.train_seconds, max_pixels=args.max_pixels, max_sound=parse_size(args.max_sound),
        )  # fmt: skip
    except ValueError as error:
        raise FilesError("serve", str(error)) from None
    for name in settings.processors:  # here rather than in each worker, so that the error is one line
        from ..processing import load

        load(name)
    try:
        serve(settings, args.host, args.port, args.workers, args.open)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        advice = "does the server run already? --port 0 takes a free one"
        raise FilesError(
            f"{args.host}:{args.port}", f"an address to listen at expected, found: {said}; {advice}"
        ) from None
    return 0


def _check(args: argparse.Namespace) -> None:
    numbers = [("--port", args.port, 0, 65535), ("--workers", args.workers, 1, 256)]
    for name in ("train_rows", "train_epochs", "train_seconds", "max_pixels"):  # 0: nobody may
        numbers.append((f"--{name.replace('_', '-')}", getattr(args, name), 0, 10**9))
    for name, value, low, high in numbers:
        if not low <= value <= high:
            raise FilesError(name, f"a number from {low} to {high} expected, found {value}")


def _hosts(args: argparse.Namespace) -> tuple[str, ...]:
    """Bound to other addresses than loopback, the server goes by names that it cannot know."""
    loopback = args.host == "localhost" or args.host == "::1" or args.host.startswith("127.")
    return tuple(args.allow_host) if loopback or args.allow_host else ("*",)
