"""The work behind POST /check and POST /repair: the files as they came, under the names that the browser gave them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from tfjs_torch import TfjsTorchError, errors, ml5

from .convert import Result
from .multipart import Part
from .outgoing import OutFile
from .problems import Problem
from .recognise import json_text, unpacked, without_options
from .settings import Settings
from .work import Work
from .zips import File, Room

Given = dict[str, File]


def given_files(parts: list[Part], work: Work, settings: Settings) -> tuple[Given, dict[str, list[str]]]:
    """{name: content} of all files of a form, those of zips too, and the options.

    Raises:
        Problem: 400 no file, one name twice, JSON nested too deep; 413 beyond a limit.
    """
    options, rest = without_options(parts, settings)
    room = Room(settings.max_upload)
    files = [file for name, part in rest for file in unpacked(part, name, work, settings, room)[0]]
    for name, data in files:
        json_text(name, data, settings)
    named = dict(files)
    if len(named) < len(files):
        twice = next(name for at, (name, _) in enumerate(files) if name in dict(files[:at]))
        raise Problem(400, twice, "every file once expected, found it several times", "upload one model at a time")
    return _without_folder(named), options


def _without_folder(files: Given) -> Given:
    """Names as seen from the folder that holds everything: a browser's file picker tells no folders."""
    top = posixpath.commonpath([posixpath.dirname(name) for name in files]) if files else ""
    return {posixpath.relpath(name, top) if top else name: data for name, data in files.items()}


def checked(files: Mapping[str, File]) -> dict[str, Any]:
    """What ml5 0.x and 1.x will do with these files, and what the network is, if it is one of ml5.

    Raises:
        TfjsTorchError: see tfjs_torch.ml5.check.
    """
    with errors.collected_warnings():
        return {"findings": _findings(files), "ml5": _described(files)}


def repaired(files: Mapping[str, File]) -> Result:
    """The files as every ml5 loads them, and what was done.

    Raises:
        Problem: 422 they cannot be repaired.
    """
    with errors.collected_warnings() as told:
        try:
            new, done = ml5.repaired_files(dict(files))
        except TfjsTorchError as error:
            said, _, advice = error.message.rpartition("; ")
            raise Problem(422, error.where or "model", said or advice, advice if said else "save it again") from None
        left = _findings(new)
    ordered = sorted(new.items(), key=lambda item: item[0] == "model.json")
    made = [OutFile.of(name, data) for name, data in ordered]
    report = {
        "done": done, "findings": left, "warnings": told,
        "files": [{"name": file.name, "bytes": file.size} for file in made],
    }  # fmt: skip
    return Result(made, report)


def _findings(files: Mapping[str, File]) -> list[dict[str, Any]]:
    return [finding.to_dict() for finding in ml5.check(dict(files))]


def _described(files: Mapping[str, File]) -> dict[str, Any] | None:
    try:
        network = ml5.load(dict(files))
    except TfjsTorchError:
        return None
    names = {name: list(getattr(network, name, [])) for name in ("inputs", "outputs", "labels")}
    return {"task": getattr(network, "task", None), **names}
