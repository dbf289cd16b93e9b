"""The HTTP door: POST models, get them back as something else. `uvicorn tfjs_torch_server:app` or `tfjs-torch serve`.

app.py         which address does what          multipart.py   bodies as they arrive
convert.py     the work of POST /convert        recognise.py   which part is what
looking.py     that of /inspect and /predict    options.py     what is asked for
store.py       models on disk, under ids        answers.py     files and a report as one answer
doors.py       log, CORS, Host check, token     problems.py    errors as problem+json
page.py        the page's files, and tf.js      work.py        a request's folder and thread
documents.py   what /docs says                  settings.py    what an operator can set
running.py     starting uvicorn
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
