"""Files made by real tf.js, by hand and by the official package: read to the bit, and written back to the byte."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from helpers import (
    groups_in,
    json_of,
    judged_all,
    official_reads,
    parse,
    snapshot,
    told_all,
    warned,
    weight_data,
)
from judges import CASES, expected

from tfjs_torch import (
    decode_weights,
    load_file,
    read_artifacts,
    save_file,
    tfjs_to_torch,
    torch_to_tfjs,
)

FOLDERS = sorted(path for path in CASES.iterdir() if path.is_dir())
THEIR_FILES = [path for path in FOLDERS if path.name.startswith("py-")]

# Where the official package reads something else than tf.js wrote, or nothing: the number of its defect.
OFFICIAL_DEFECTS = {
    "hand-int32-ties": 21,
    "hand-uint8-integer-metadata": 51,
    "js-empty": 11,
}


@pytest.fixture(params=FOLDERS, ids=lambda path: path.name)
def case(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def files_of(case: Path) -> dict[str, bytes | None]:
    return {name: data for name, data in snapshot(case).items() if name != "expected.json"}


def test_every_tensor_is_read_as_tfjs_reads_it(case: Path) -> None:
    assert told_all(load_file(json_of(case))) == judged_all(expected(case))


def test_the_order_is_that_of_the_manifest(case: Path) -> None:
    names = [e["name"] for group in groups_in(parse(json_of(case))) for e in group["weights"]]
    assert list(load_file(json_of(case))) == names


def test_from_memory_the_same_tensors_come(case: Path) -> None:
    document = parse(json_of(case))
    found = told_all(tfjs_to_torch(document, weight_data(case, document)))
    assert found == told_all(load_file(json_of(case)))


def test_there_and_back_again_gives_the_same_manifest_and_bytes(case: Path) -> None:
    document = parse(json_of(case))
    data = weight_data(case, document)
    assert torch_to_tfjs(tfjs_to_torch(document, data), document) == (document, data)


def test_saved_like_itself_a_model_has_the_same_files(case: Path, tmp_path: Path) -> None:
    save_file(load_file(json_of(case)), tmp_path / json_of(case).name, like=json_of(case))
    assert snapshot(tmp_path) == files_of(case)


def test_artifacts_save_the_same_files(case: Path, tmp_path: Path) -> None:
    read_artifacts(json_of(case)).save(tmp_path)
    assert snapshot(tmp_path) == files_of(case)


def test_a_zip_of_it_holds_the_same_tensors(case: Path) -> None:
    zipped = read_artifacts(json_of(case)).to_zip()
    assert told_all(load_file(zipped)) == told_all(load_file(json_of(case)))


def test_the_official_engine_reads_the_same(case: Path) -> None:
    if case.name in OFFICIAL_DEFECTS:
        pytest.xfail(f"the official package's defect {OFFICIAL_DEFECTS[case.name]}")
    found = told_all(load_file(json_of(case), engine="tensorflowjs"))
    assert found == told_all(load_file(json_of(case)))
