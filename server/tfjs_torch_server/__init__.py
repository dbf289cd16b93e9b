"""The HTTP door: POST models, get them back as something else. `uvicorn tfjs_torch_server:app` or `tfjs-torch serve`.

app.py         which address does what        multipart.py   bodies as they arrive
convert.py     the work of POST /convert      boundaries.py  a body cut into its parts
finetuning.py  the step that trains           bodies.py      bodies that are no upload
looking.py     that of /inspect and /predict  recognise.py   which part is what
answering.py   /predict with names and labels zips.py        zips, unpacked piece by piece
checking.py    that of /check and /repair     known.py       small models that came before
exporting.py   .pt2 and .onnx, in a process   options.py     what is asked for
store.py       models on disk, under ids      outgoing.py    the files of an answer
doors.py       log, CORS, Host check, token   answers.py     files and a report as one answer
page.py        the page's files, and tf.js    events.py      long work as server-sent events
documents.py   what /docs says                problems.py    errors as problem+json
running.py     starting uvicorn               work.py        a request's folder and thread
settings.py    what an operator can set       stopping.py    trainings that end early
media.py       pictures and sounds to ask about
"""

from __future__ import annotations

from typing import Any

from .settings import Settings, from_environment

__all__ = ["Settings", "app", "create_app", "from_environment"]


def __getattr__(name: str) -> Any:
    """`app` is made, and torch imported, when it is first asked for."""
    if name not in ("app", "create_app"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .app import create_app

    globals()["create_app"] = create_app
    if name == "app":
        globals()["app"] = create_app(from_environment())
    return globals()[name]
