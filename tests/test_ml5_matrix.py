"""What ml5 does with good and spoilt files, by every route: the judge confirms each verdict of `ml5_situations`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from ml5_browser import Ml5Error
from ml5_judge import Ml5Judge
from ml5_situations import GOOD, INPUTS, ROUTES, SITUATIONS, TASK, VERSIONS, Files, Situation

Answers = list[dict[str, float]]


def ask(judge: Ml5Judge, version: str, route: str, files: Files, **more: Any) -> Answers:
    """The confidence of each label."""
    found = judge.ask(VERSIONS[version], route, files, TASK, INPUTS, **more)
    return [{one["label"]: one["confidence"] for one in results} for results in found]


def verdict(judge: Ml5Judge, version: str, route: str, files: Files, right: Answers, tolerance: float) -> str:
    try:
        found = ask(judge, version, route, files)
    except Ml5Error:
        return "fails"
    return "ok" if close(found, right, tolerance) else "wrong"


def close(found: Answers, right: Answers, tolerance: float) -> bool:
    if [set(one) for one in found] != [set(one) for one in right]:
        return False
    numbers = [[one[label] for label in two] for one, two in zip(found, right, strict=True)]
    return np.allclose(np.array(numbers, float), [list(one.values()) for one in right], rtol=0, atol=tolerance)


def right_answers(judge: Ml5Judge, case: Situation) -> Answers:
    return ask(judge, "1.x", "object", GOOD if case.keeps_answers else case.spoil(GOOD))


@pytest.mark.parametrize("name", SITUATIONS)
def test_ml5_does_what_the_situation_says(ml5_judge: Ml5Judge, name: str) -> None:
    case = SITUATIONS[name]
    files, right = case.spoil(GOOD), right_answers(ml5_judge, case)
    found = {
        version: {route: verdict(ml5_judge, version, route, files, right, case.tolerance) for route in ROUTES}
        for version in VERSIONS
    }
    assert found == case.verdicts


def relative(address: str) -> str:
    return urlsplit(address).path.lstrip("/")


def data_urls(address: str) -> dict[str, str]:
    urls = [f"data:;base64,{base64.b64encode(GOOD[name]).decode()}" for name in sorted(GOOD)]
    return dict(zip(("model", "weights", "metadata"), urls, strict=True))


# Good files in the hands of a user: what is given to nn.load, and the verdicts of 0.x and 1.x.
USES: dict[str, tuple[str | Callable[[str], Any], str, str]] = {
    "the folder instead of the JSON": (lambda address: address, "fails", "fails"),
    "a path that starts with a slash": (lambda address: f"/{relative(address)}model.json", "ok", "ok"),
    # 1.x looks for /page.html/folder/model_meta.json.
    "a path relative to a page without a slash at its end": (lambda a: f"{relative(a)}model.json", "ok", "fails"),
    "something after .json": (lambda address: f"{address}model.json?version=2", "ok", "fails"),
    "an object without weights": (
        lambda address: {"model": f"{address}model.json", "metadata": f"{address}model_meta.json"},
        "fails",
        "fails",
    ),
    "addresses that hold the files themselves": (data_urls, "ok", "ok"),
    "addresses of blobs": ("blobs", "ok", "ok"),
    "files dropped on the page": ("drop", "ok", "ok"),
    "an array of files": ("array", "fails", "fails"),
    "parsed JSON": ("parsed", "fails", "fails"),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("use", USES)
def test_good_files_may_be_given_to_ml5_in_wrong_ways(ml5_judge: Ml5Judge, use: str, version: str) -> None:
    place, *verdicts = USES[use]
    files = {name: GOOD[name] for name in sorted(GOOD)}
    try:
        answers = ask(ml5_judge, version, "", files, place=place)
        found = "ok" if close(answers, ask(ml5_judge, "1.x", "object", GOOD), 1e-6) else "wrong"
    except Ml5Error:
        found = "fails"
    assert found == verdicts[list(VERSIONS).index(version)]


def test_1x_takes_a_page_with_a_query_for_the_meta_file_and_fails_at_the_first_question(ml5_judge: Ml5Judge) -> None:
    more: dict[str, Any] = {"place": lambda address: f"{relative(address)}model.json", "query": "?id=1"}
    assert ml5_judge.ask("1.4.0", "", GOOD, TASK, [], **more) == []
    with pytest.raises(Ml5Error, match="Cannot convert undefined or null to object"):
        ml5_judge.ask("1.4.0", "", GOOD, TASK, INPUTS, **more)
    assert len(ml5_judge.ask("0.12.2", "", GOOD, TASK, INPUTS, **more)) == len(INPUTS)


@pytest.mark.parametrize("name", ["legend-reordered", "number-labels", "one-number-label"])
def test_classify_sync_of_1x_still_takes_labels_in_their_written_order(ml5_judge: Ml5Judge, name: str) -> None:
    files = SITUATIONS[name].spoil(GOOD)
    sync = ask(ml5_judge, "1.x", "files", files, how="classifySync")
    assert close(sync, ask(ml5_judge, "0.x", "files", files), 1e-6)
    assert not close(sync, ask(ml5_judge, "1.x", "files", files), 1e-6)
