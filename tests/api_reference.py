"""docs/api.md, made from the docstrings: `python tests/api_reference.py` renews it, `--check` compares."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import tfjs_torch
from tfjs_torch import fitting, history, layers, ml5, processing, teachable

REFERENCE = Path(__file__).resolve().parents[1] / "docs/api.md"
INTRO = """# Reference

Made from the docstrings by `python tests/api_reference.py`; the tests run every example. Names come from `tfjs_torch`,
or from the room that the heading names. Everything that goes wrong is a `TfjsTorchError` with `.where` and `.message`.
"""
ROOMS: list[tuple[str, ModuleType, list[str]]] = [
    ("tfjs_torch", tfjs_torch, [n for n in tfjs_torch.__all__ if not inspect.ismodule(getattr(tfjs_torch, n))]),
    ("tfjs_torch.ml5", ml5, ml5.__all__),
    ("tfjs_torch.teachable", teachable, teachable.__all__),
    ("tfjs_torch.fitting", fitting, ["fit", "measured"]),
    ("tfjs_torch.history", history, ["History"]),
    ("tfjs_torch.processing", processing, [name for name in processing.__all__ if name != "process"]),
    ("tfjs_torch.layers", layers, ["register"]),
]  # fmt: skip
SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields|Example|Examples):(.*)")
OF_MODULES = re.compile(r"\b(?:tfjs_torch|collections|typing|torch|numpy|os|pathlib)(?:\.\w+)*\.(?=[A-Z_a-z])")


def reference() -> str:
    """The whole page."""
    return "\n".join([INTRO, *contents(), *(line for room in ROOMS for line in of_room(*room))]) + "\n"


def contents() -> Iterator[str]:
    """The list of all names, linked as GitHub makes anchors of headings: a second equal one gets "-1"."""
    seen: list[str] = []
    for title, _, names in ROOMS:
        links = []
        for name in shown(names):
            anchor = heading(title, name).replace(".", "").lower()
            links.append(f"[{name}](#{anchor}{f'-{seen.count(anchor)}' if anchor in seen else ''})")
            seen.append(anchor)
        yield f"- **{title}**: {', '.join(links)}"
    yield ""


def shown(names: list[str]) -> list[str]:
    return sorted((name for name in names if not name.startswith("__")), key=str.lower)


def heading(title: str, name: str) -> str:
    """`load_file`, `ml5.load`."""
    return f"{title}.{name}".removeprefix("tfjs_torch.")


def of_room(title: str, module: ModuleType, names: list[str]) -> Iterator[str]:
    yield f"## {title}\n"
    for name in shown(names):
        yield f"### {heading(title, name)}\n"
        thing = getattr(module, name)
        yield from of_thing(name, thing)


def of_thing(name: str, thing: Any) -> Iterator[str]:
    is_class = inspect.isclass(thing)
    if is_class and issubclass(thing, Exception):
        yield f"An exception, a `{thing.__mro__[1].__name__}`.\n"
    elif not is_class or dataclasses.is_dataclass(thing):  # objects of the other classes come out of functions
        yield f"```\n{name}{signature(thing)}\n```\n"
    yield from paragraphs(inspect.getdoc(thing) or "")
    if is_class and not issubclass(thing, Exception):
        yield from of_members(name, thing)


def of_members(owner: str, thing: type) -> Iterator[str]:
    for name, member in vars(thing).items():
        doc = inspect.getdoc(member)
        if name.startswith("_") or not doc or inspect.isclass(member):
            continue
        if isinstance(member, property):
            yield f"**{owner}.{name}**: {' '.join(doc.split())}\n"
        elif inspect.isfunction(member):
            yield f"#### {owner}.{name}\n"
            yield f"```\n{name}{signature(member)}\n```\n"
            yield from paragraphs(doc)


class _Plain:
    """An annotation without the quotes and module names that `inspect` puts around and before it."""

    def __init__(self, annotation: Any) -> None:
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        self._text = OF_MODULES.sub("", text)

    def __repr__(self) -> str:
        return self._text


def signature(thing: Any) -> str:
    """`(path: str, *, like: Any = None) -> None`; one argument a line where that is long."""
    found = inspect.signature(thing)
    empty = inspect.Parameter.empty
    kept = [
        parameter if parameter.annotation is empty else parameter.replace(annotation=_Plain(parameter.annotation))
        for parameter in found.parameters.values()
        if parameter.name != "self"
    ]
    returned = "" if found.return_annotation in (empty, None) else f" -> {_Plain(found.return_annotation)}"
    text = f"{inspect.Signature(kept)}{returned}"
    if len(text) < 100:
        return text
    alone, kinds = [str(parameter) for parameter in kept], [parameter.kind for parameter in kept]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        alone.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    return "(\n" + "".join(f"    {argument},\n" for argument in alone) + f"){returned}"


def paragraphs(doc: str) -> Iterator[str]:
    """A docstring as Markdown: sections in bold, their entries as a list, examples as code."""
    blocks = iter(re.split(r"\n(?=(?:Args|Attributes|Returns|Raises|Yields|Examples?):)|\n\n", doc))
    for block in blocks:
        head, _, rest = block.partition("\n")
        found = SECTION.fullmatch(head)
        if found and found[1].startswith("Example") and rest:
            yield f"```pycon\n{dedent(rest).rstrip()}\n```\n"
        elif found:
            yield f"**{found[1]}**{' ' + found[2].strip() if found[2].strip() else ''}\n"
            yield "\n".join(entries(dedent(rest))) + "\n"
        elif ">>>" in block:
            yield f"```pycon\n{dedent(block).rstrip()}\n```\n"
        elif block.startswith("    "):
            yield f"```\n{dedent(block).rstrip()}\n```\n"
        else:
            yield escaped(block) + "\n"


def entries(text: str) -> Iterator[str]:
    """Lines that begin at the margin start an entry, `name: what it is`; where there is no name, it is one sentence."""
    found: list[str] = []
    for entry in re.split(r"\n(?=\S)", text):
        words = " ".join(entry.split())
        named = re.fullmatch(r"([\w*., ()]{1,80}?): (.*)", words)
        if named or not found:
            found.append(f"- `{named[1]}`: {escaped(named[2])}" if named else f"- {escaped(words)}")
        else:
            found[-1] += f" {escaped(words)}"
    yield from found


def escaped(text: str) -> str:
    """Angle brackets and stars are no markup."""
    return re.sub(r"(`[^`]*`)|([<*|])", lambda found: found[1] or f"\\{found[2]}", text)


if __name__ == "__main__":
    made = reference()
    if "--check" in sys.argv:
        if not REFERENCE.is_file() or REFERENCE.read_text() != made:
            sys.exit("docs/api.md: what the docstrings say expected; python tests/api_reference.py renews it")
    else:
        REFERENCE.write_text(made)
