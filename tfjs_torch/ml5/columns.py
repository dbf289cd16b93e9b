"""model_meta.json: what ml5 stumbles over in it, and the same as every ml5 reads it. No torch."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from ..errors import ManifestError
from .findings import Finding, in_version
from .meta import Column, Meta, is_index, js_keys, parse_meta, plain

_ALL: Final = in_version("0.x", "1.x")
_OLD: Final = in_version("0.x")

Shape = Sequence["int | None"]


class MendedMeta(NamedTuple):
    """A meta as every ml5 reads it.

    Attributes:
        document: the JSON.
        meta: the same, checked; None where it cannot be.
        codes: what was changed, as codes of findings.
        order: for each unit of the first output the unit it was; () where none moved.
        problem: why it cannot be checked.
    """

    document: Any
    meta: Meta | None
    codes: tuple[str, ...] = ()
    order: tuple[int, ...] = ()
    problem: str = ""


def mended_meta(document: Any, text: bytes, where: str, movable: bool) -> MendedMeta:
    """Mend what can be mended without a guess.

    Args:
        document: the parsed JSON; None where it is none.
        text: the file.
        where: its name.
        movable: whether the units of the network can change places.
    """
    codes: list[str] = []
    if document is None:
        document = _lenient(text)
        codes += ["meta-nan"] if document is not None else []
    if not isinstance(document, dict):
        return MendedMeta(document, None, (), (), f"{where}: an object as ml5 writes it expected, found none")
    try:
        meta = parse_meta(document, where)
        if meta.generation == "0.4":
            codes.append("meta-0.4")
        mended = meta.to_document() if meta.generation == "0.4" else copy.deepcopy(document)
        order = _mend(mended, meta, codes, movable)
        if codes and not isinstance(mended.get("inputUnits"), list):
            mended["inputUnits"] = list(meta.input_units)
        return MendedMeta(mended, parse_meta(mended, where), tuple(codes), order)
    except ManifestError as error:
        return MendedMeta(document, None, tuple(codes), (), str(error))
    except RecursionError:
        return MendedMeta(document, None, tuple(codes), (), f"{where}: nested too deep")


def _mend(mended: dict[str, Any], meta: Meta, codes: list[str], movable: bool) -> tuple[int, ...]:
    for side, columns in (("inputs", meta.inputs), ("outputs", meta.outputs)):
        for column in columns:
            entry = mended[side][column.name]
            if column.dtype == "string" and not isinstance(entry.get("legend"), dict):
                entry["legend"] = _legend(column, column.labels)
                codes.append("legend-missing")
    first = meta.outputs[0]
    if first.dtype != "string" or not _is_one_hot(first):
        return ()
    entry = mended["outputs"][first.name]
    shown, units = js_keys(entry["legend"]), list(first.labels)
    if shown == units:
        return ()
    wanted = js_keys(units)
    if wanted == units:  # the file's order is wrong, the units' is not
        entry["legend"] = _legend(first, units)
        codes.append("legend-order")
        return ()
    codes.append("number-labels")
    if not movable:
        return ()
    entry["legend"] = {label: [int(i == at) for i in range(len(wanted))] for at, label in enumerate(wanted)}
    if "uniqueValues" in entry:
        entry["uniqueValues"] = wanted
    return tuple(units.index(label) for label in wanted)


def _legend(column: Column, labels: Sequence[str]) -> dict[str, list[Any]]:
    return {label: [plain(x) for x in column.codes[label]] for label in labels}


def _is_one_hot(column: Column) -> bool:
    codes = list(column.codes.values())
    return all(len(code) == len(codes) and code[at] == 1 and sum(map(abs, code)) == 1 for at, code in enumerate(codes))


def _lenient(text: bytes) -> Any:
    """JSON with NaN and Infinity, which become null; None where it is no JSON even so."""
    try:
        return json.loads(text.decode("utf-8-sig"), parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


class Ends(NamedTuple):
    """What a network takes and gives, without the batch; None where it is not known."""

    entered: Shape | None
    answered: Shape | None
    softmax: bool


def meta_findings(mended: MendedMeta, where: str, ends: Ends) -> Iterator[Finding]:
    """What is wrong with a meta, beside its network."""
    for code in dict.fromkeys(mended.codes):
        yield _mendable(code, where, mended)
    if mended.meta is None:
        yield Finding(
            "meta-broken", "error", where,
            f"ml5 cannot make sense of this file: {mended.problem}. It may load, and then classify and predict fail.",
            "Open it in a text editor, or take another copy.", False, _ALL,
        )  # fmt: skip
        return
    meta = mended.meta
    yield from _column_findings(meta, where)
    yield from _range_findings(meta, where)
    if mended.document.get("isNormalized") not in (True, False):  # 1 and 0 are such, too
        yield Finding(
            "normalized-missing", "error", where,
            "Nothing says whether the numbers are normalised (isNormalized). ml5 takes them as they are, without a "
            "word; if normalizeData() was called before training, every answer is wrong.",
            'Add "isNormalized": true if your sketch calls normalizeData(), else false.', False, _ALL,
        )  # fmt: skip
    yield from _code_findings(meta.outputs[0], where)
    if ends.softmax and all(column.dtype == "number" for column in meta.outputs):
        yield Finding(
            "labels-missing", "warning", where,
            "The network tells classes apart (softmax), but the outputs are numbers without labels: classify fails, "
            "and predict gives plain numbers.",
            'Give labels as text in the training data, "1" rather than 1.', False, _ALL,
        )  # fmt: skip
    yield from _size_findings(meta, where, ends.entered, ends.answered)


def _code_findings(first: Column, where: str) -> Iterator[Finding]:
    if first.dtype != "string" or _is_one_hot(first):
        return
    if len(first.labels) == first.units:
        yield Finding(
            "legend-not-one-hot", "warning", where,
            f"The codes of the labels of {first.name!r} are not one 1 each at a place of its own. ml5 gives the labels "
            "to the network's outputs one by one, in the order of the codes.",
            "Compare the answers with the sketch that trained it.", False,
        )  # fmt: skip
        return
    yield Finding(
        "legend-codes", "error", where,
        f"There are {len(first.labels)} labels of {first.name!r} with codes of {first.units} numbers, so ml5 pairs "
        "labels and answers wrongly.",
        "Save the model again.", False, _ALL,
    )  # fmt: skip


def _mendable(code: str, where: str, mended: MendedMeta) -> Finding:
    if code == "number-labels":
        labels = mended.meta.labels if mended.meta else ()
        numbers = ", ".join([label for label in labels if is_index(label)][:4])
        return Finding(
            code, "error", where,
            f"Labels look like numbers ({numbers}). JavaScript sorts such names, so ml5 0.x, and classifySync in 1.x, "
            "give the answers the wrong labels.",
            "Let repair put the network's outputs into the order of the numbers, or use labels such as \"n1\"."
            if mended.order else "Train again with labels such as \"n1\".",
            bool(mended.order), _OLD,
        )  # fmt: skip
    message, advice = _MENDABLE[code]
    return Finding(code, "error", where, message, advice, True, _OLD if code == "legend-order" else _ALL)


_MENDABLE: Final = {
    "meta-0.4": (
        "This is the layout of ml5 0.4. Newer versions load it without complaint, and then classify and predict fail "
        '("Cannot convert undefined or null to object").',
        "Let repair write it in today's layout.",
    ),
    "meta-nan": (
        "The file holds NaN or Infinity, which browsers do not read as JSON. ml5 loads it without complaint, and then "
        "classify and predict fail.",
        "Let repair write null instead.",
    ),
    "legend-missing": (
        "The codes of the labels (legend) are missing, and classify fails without them.",
        "Let repair make them from the list of labels.",
    ),
    "legend-order": (
        "The labels stand in another order than the network's outputs. ml5 0.x, and classifySync in 1.x, give the "
        "answers the wrong labels.",
        "Let repair put them into the right order.",
    ),
}


def _column_findings(meta: Meta, where: str) -> Iterator[Finding]:
    sorts = meta.outputs[0].dtype == "string"
    for column in (*meta.inputs, *(meta.outputs[:1] if sorts else meta.outputs)):
        if column.dtype not in ("number", "string", "array"):
            yield Finding(
                "boolean-column", "error", where,
                f"The column {column.name!r} holds {column.dtype} values, for which ml5 has no units: it left them "
                "out when training, and fails when it is asked.",
                'Train again with numbers (0 and 1) or text ("yes" and "no").', False, _ALL,
            )  # fmt: skip
    if sorts and len(meta.outputs) > 1:
        yield Finding(
            "several-outputs", "note", where,
            f"classify answers with the first output only, {meta.outputs[0].name!r}.",
            "Train a network for each of the others.", False,
        )  # fmt: skip
    if meta.series_shape:
        yield Finding(
            "sequence-task", "error", where,
            "A sequence network of ml5's unreleased branch: no released ml5 can ask it.",
            "Use it in Python, or train it as imageClassification with inputs [steps, features].", False, _ALL,
        )  # fmt: skip


def _range_findings(meta: Meta, where: str) -> Iterator[Finding]:
    if not meta.normalized:
        return
    inputs = [column for column in meta.inputs if column.dtype in ("number", "array")]
    outputs = [column for column in meta.outputs if column.dtype == "number"] if not meta.labels else []
    missing = [column.name for column in (*inputs, *outputs) if column.min is None or column.max is None]
    if missing:
        yield Finding(
            "range-missing", "error", where,
            f"The range (min and max) of {', '.join(missing[:6])} is missing. ml5 0.x answers NaN, 1.x always the "
            "same.",
            "Train again; if the data held NaN, clean them first. Nobody but the data knows the range.", False, _ALL,
        )  # fmt: skip
    constant = [column.name for column in inputs if column.min is not None and column.min == column.max]
    if constant:
        yield Finding(
            "range-empty", "error", where,
            f"{', '.join(constant[:6])} never changed in the training data. ml5 0.x divides by zero and answers NaN; "
            "1.x takes it for 0.",
            "Leave that input out, or train with data in which it changes.", False, _OLD,
        )  # fmt: skip


def _size_findings(meta: Meta, where: str, entered: Shape | None, answered: Shape | None) -> Iterator[Finding]:
    if meta.series_shape:
        return
    problem = _entrance_problem(meta, entered) or _answer_problem(meta, answered)
    if problem:
        yield Finding(
            "meta-of-another-save", "error", where,
            f"{problem} The file belongs to another save, and ml5 fails when it is asked or answers wrongly.",
            "Find the file that was saved together with the network.", False, _ALL,
        )  # fmt: skip
        return
    said = _fits(meta.input_units, entered or meta.input_units)
    if not said or (answered is not None and meta.output_units is not None and [meta.output_units] != [*answered]):
        yield Finding(
            "units", "warning", where,
            "inputUnits or outputUnits do not say what the network has. ml5 answers all the same, but cannot train on.",
            "Let repair write the network's own.", True,
        )  # fmt: skip


def _entrance_problem(meta: Meta, entered: Shape | None) -> str:
    if entered is None:
        return ""
    if any(column.dtype == "array" for column in meta.inputs):
        said = list(meta.input_units)
        return "" if _fits(said, entered) else f"inputUnits are {said}, but the network takes {list(entered)}."
    units = sum(column.units for column in meta.inputs)
    if not _fits([units], entered):
        return f"The inputs are {units} numbers, but the network takes {list(entered)}."
    return ""


def _fits(sizes: Sequence[int], shape: Shape) -> bool:
    """Whether a network of this shape takes them; None takes any size."""
    return len(sizes) == len(shape) and all(n in (None, size) for size, n in zip(sizes, shape, strict=True))


def _answer_problem(meta: Meta, answered: Shape | None) -> str:
    if answered is None or None in answered:
        return ""
    units = sum(column.units for column in meta.outputs)
    return (
        f"The outputs are {units} numbers, but the network gives {list(answered)}." if [units] != list(answered) else ""
    )
