"""ml5.load, classify and predict on what ml5 saved: forms of inputs, missing files, errors in words."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tfjs_torch import FilesError, MismatchError, TfjsTorchWarning, UnsupportedError, ml5

ROOT = Path(__file__).resolve().parents[1]
CLASSIFIER, REGRESSION = ROOT / "samples/ml5-classifier", ROOT / "samples/ml5-regression"
CASES = ROOT / "tests/cases/ml5"
NAMES = ("model.json", "model_meta.json", "model.weights.bin")
RED = {"r": 255, "g": 0, "b": 0}


def files(folder: Path = CLASSIFIER) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def with_meta(change: Any, folder: Path = CLASSIFIER) -> dict[str, bytes]:
    found = files(folder)
    document = json.loads(found["model_meta.json"])
    change(document)
    return {**found, "model_meta.json": json.dumps(document).encode()}


def test_it_is_found_in_a_folder_a_zip_a_dict_a_list_and_by_its_json(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "save.zip", "w") as archive:
        for name in NAMES:
            archive.write(CLASSIFIER / name, name)
    sources = [CLASSIFIER, str(CLASSIFIER / "model.json"), tmp_path / "save.zip", (tmp_path / "save.zip").read_bytes(),
               files(), [CLASSIFIER / name for name in NAMES]]  # fmt: skip
    answers = [ml5.load(source).classify(RED) for source in sources]
    assert all(answer == answers[0] for answer in answers)


def test_a_list_of_files_from_two_folders_with_one_name_is_refused() -> None:
    with pytest.raises(FilesError, match="each name once"):
        ml5.load([CLASSIFIER / "model.json", REGRESSION / "model.json"])


def test_what_a_network_says_of_itself() -> None:
    nn = ml5.load(CLASSIFIER)
    assert (nn.task, nn.inputs, nn.outputs) == ("classification", ["r", "g", "b"], ["colour"])
    assert nn.labels == ["red", "yellow", "green", "blue"]
    assert nn.meta == json.loads((CLASSIFIER / "model_meta.json").read_text())
    assert isinstance(nn.module, torch.nn.Module)
    assert repr(nn) == "<ml5 classification: r, g, b -> red, yellow, green, blue>"


@pytest.mark.parametrize(
    "same",
    [[255, 0, 0], (255, 0, 0), np.array([255, 0, 0]), torch.tensor([255, 0, 0]), {**RED, "more": 1}, [255, 0, 0, 7],
     {k: np.float32(v) for k, v in RED.items()}],
    ids=["list", "tuple", "array", "tensor", "extra key", "extra value", "numpy"],
)  # fmt: skip
def test_a_sample_may_come_in_many_forms(same: Any) -> None:
    nn = ml5.load(CLASSIFIER)
    assert nn.classify(same) == nn.classify(RED)


@pytest.mark.parametrize("form", [list, np.array, torch.tensor], ids=["list", "array", "tensor"])
def test_a_list_of_samples_is_a_batch(form: Any) -> None:
    nn = ml5.load(CLASSIFIER)
    samples = [[255, 0, 0], [0, 0, 255]]
    for result, sample in zip(nn.classify(form(samples)), samples, strict=True):
        alone = nn.classify(sample)
        assert [answer["label"] for answer in result] == [answer["label"] for answer in alone]
        assert [a["confidence"] for a in result] == pytest.approx([a["confidence"] for a in alone], abs=1e-7)
    assert nn.classify(form(samples[:1])) == [nn.classify(samples[0])]
    assert nn.classify([]) == []


def test_results_come_best_first_and_confidences_are_those_of_the_module() -> None:
    nn = ml5.load(CLASSIFIER)
    result = nn.classify([200, 180, 20])
    confidences = [answer["confidence"] for answer in result]
    assert confidences == sorted(confidences, reverse=True)
    raw = nn.module(torch.from_numpy(nn.encode([200, 180, 20])))[0].tolist()
    assert {answer["label"]: answer["confidence"] for answer in result} == dict(zip(nn.labels, raw, strict=True))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"r": 1, "g": 2}, "r, g, b expected, found r, g; add b"),
        ({"r": 1, "g": "x", "b": 3}, "g: a finite number expected, found 'x'"),
        ({"r": 1, "g": None, "b": 3}, "g: a finite number expected"),
        ({"r": 1, "g": True, "b": 3}, "g: a finite number expected, found True"),
        ({"r": 1, "g": float("nan"), "b": 3}, "g: a finite number expected, found nan"),
        ([1, 2], "3 values"),
        ("red", "expected, found"),
        (5, "expected, found 5"),
        (None, "expected, found NoneType"),
        ([{"r": 1, "g": 2, "b": 3}, {"r": 1}], "input 2: r, g, b expected"),
        ([[1, 2, 3], 4], "input 2"),
    ],
)
def test_values_that_do_not_fit_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        ml5.load(CLASSIFIER).classify(wrong)


def test_an_unknown_category_is_told_with_the_known_ones() -> None:
    nn = ml5.load(CASES / "1.4.0-regression-mixed-onehot-input")
    column = next(name for name, entry in nn.meta["inputs"].items() if entry["dtype"] == "string")
    values = {name: "castle" if name == column else 1 for name in nn.inputs}
    with pytest.raises(MismatchError, match=f"{column}: one of .* expected, found 'castle'"):
        nn.predict(values)


def test_classify_and_predict_are_for_their_tasks() -> None:
    with pytest.raises(MismatchError, match="use predict"):
        ml5.load(REGRESSION).classify([1, 2])
    with pytest.raises(MismatchError, match="use classify"):
        ml5.load(CLASSIFIER).predict(RED)
    assert ml5.load(REGRESSION).answer([1, 2]) == ml5.load(REGRESSION).predict([1, 2])


def test_without_meta_it_works_on_the_networks_own_numbers() -> None:
    found = files()
    del found["model_meta.json"]
    with pytest.warns(TfjsTorchWarning, match=r"model_meta\.json is missing"):
        nn = ml5.load(found)
    assert (nn.task, nn.inputs, nn.labels, nn.meta) == (None, [], [], None)
    raw = nn.module(torch.tensor([[1.0, 0.0, 0.5]]))[0].tolist()
    assert [answer["value"] for answer in nn.predict([1, 0, 0.5])] == raw
    assert [answer["confidence"] for answer in nn.classify(torch.tensor([[1, 0, 0.5]]))[0]] == sorted(raw, reverse=True)
    methods: list[Any] = [(nn.files, "model"), (nn.train, []), (nn.predict, {"r": 1})]
    for method, given in methods:
        with pytest.raises(MismatchError, match=r"model_meta\.json"):
            method(given)


def test_a_renamed_meta_is_taken_and_told() -> None:
    found = files()
    found["hands_meta.json"] = found.pop("model_meta.json")
    with pytest.warns(TfjsTorchWarning, match=r"took 'hands_meta\.json'"):
        assert ml5.load(found).classify(RED) == ml5.load(CLASSIFIER).classify(RED)


def test_min_equal_max_is_zero_as_in_ml5_1x() -> None:
    def change(meta: Any) -> None:
        meta["inputs"]["g"].update(min=7, max=7)

    assert ml5.load(with_meta(change)).encode([100, 7, 3])[0, 1] == 0


def test_a_missing_range_is_told_when_it_is_needed() -> None:
    def change(meta: Any) -> None:
        meta["inputs"]["g"].update(min=None)

    with pytest.raises(MismatchError, match="input: g: min and max"):
        ml5.load(with_meta(change)).classify(RED)


def test_what_is_not_normalized_is_left_as_it_is() -> None:
    assert ml5.load(with_meta(lambda meta: meta.update(isNormalized=False))).encode([3, 4, 5]).tolist() == [[3, 4, 5]]


def test_meta_of_another_save_is_told() -> None:
    mixed = {**files(), "model_meta.json": files(REGRESSION)["model_meta.json"]}
    with pytest.warns(TfjsTorchWarning, match="belongs to another save"):
        nn = ml5.load(mixed)
    with pytest.raises(MismatchError, match="network's input"):
        nn.predict([1, 2])


def test_teachable_machine_is_sent_next_door() -> None:
    found = files()
    del found["model_meta.json"]
    with pytest.raises(UnsupportedError, match=r"teachable\.load"):
        ml5.load({**found, "metadata.json": b'{"labels": ["a"]}'})


def test_a_task_can_be_given_and_must_exist() -> None:
    assert ml5.load(CLASSIFIER, task="classification").task == "classification"
    with pytest.raises(MismatchError, match="task"):
        ml5.load(CLASSIFIER, task="poetry")


def test_an_unchanged_save_is_written_byte_for_byte(tmp_path: Path) -> None:
    ml5.load(CLASSIFIER).save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files()


def test_another_name_is_written_everywhere(tmp_path: Path) -> None:
    ml5.load(CLASSIFIER).save(tmp_path / "out.zip", name="gesture")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert sorted(archive.namelist()) == ["gesture.json", "gesture.weights.bin", "gesture_meta.json"]
        paths = json.loads(archive.read("gesture.json"))["weightsManifest"][0]["paths"]
    assert paths == ["./gesture.weights.bin"]
    assert ml5.load(tmp_path / "out.zip").classify(RED) == ml5.load(CLASSIFIER).classify(RED)


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "a\\b", ".hidden", "a:b", "x_meta", "a.json", "a\n", "\ud800", 3, None]
)
def test_names_that_lead_elsewhere_are_refused(name: Any, tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="name"):
        ml5.load(CLASSIFIER).save(tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", [None, 5, b"x", "", "out/model.json", "\ud800", "\0"], ids=ascii)
def test_places_that_cannot_be_are_refused(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FilesError):
        ml5.load(CLASSIFIER).save(path)
    assert list(tmp_path.iterdir()) == []


def test_labels_that_are_numbers_keep_their_places_under_another_name() -> None:
    folder = CASES / "0.12.2-classification-numeric-labels"
    nn = ml5.load(folder)
    assert nn.files("other")["other_meta.json"] == (folder / "model_meta.json").read_bytes()
    assert ml5.load(nn.files("other")).labels == nn.labels


@pytest.mark.parametrize(
    "odd",
    [{**RED, "r": 10**400}, torch.zeros(3, device="meta"), [[1, [2], 3]], [[1, 2, 3], [1, 2]], [torch.zeros(2, 2), 1]],
    ids=["beyond a double", "meta tensor", "nested", "ragged", "mixed"],
)
def test_odd_inputs_give_errors_of_this_package(odd: Any) -> None:
    for source in (CLASSIFIER, CASES / "1.4.0-imageClassification"):
        with pytest.raises(MismatchError):
            ml5.load(source).classify(odd)


def test_half_precision_tensors_are_numbers_too() -> None:
    nn = ml5.load(CLASSIFIER)
    assert nn.classify(torch.tensor([255, 0, 0], dtype=torch.bfloat16))[0]["label"] == "red"


def test_isnormalized_is_what_javascript_takes_for_true() -> None:
    assert ml5.load(with_meta(lambda meta: meta.update(isNormalized=1))).encode([255, 4, 1]).max() > 0.9


def test_a_custom_named_save_keeps_its_meta(tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copy(CLASSIFIER / name, tmp_path / name.replace("model", "flower", 1))
    text = (tmp_path / "flower.json").read_text().replace("./model.weights", "./flower.weights")
    (tmp_path / "flower.json").write_text(text)
    assert ml5.load(tmp_path).labels == ml5.load(CLASSIFIER).labels


def pictures() -> Any:
    return ml5.load(CASES / "1.4.0-imageClassification")


def test_pixels_may_come_flat_nested_by_name_and_as_a_picture(tmp_path: Path) -> None:
    from PIL import Image

    nn = pictures()
    width, height, channels = nn.meta["inputUnits"]
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, channels), np.uint8)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    flat = pixels.ravel().tolist()
    wanted = nn.classify(flat)
    forms = [pixels, pixels.tolist(), {nn.inputs[0]: flat}, Image.fromarray(pixels), tmp_path / "x.png"]
    assert all(nn.classify(form) == wanted for form in forms)
    assert nn.classify([flat, pixels]) == nn.classify([forms[3], str(tmp_path / "x.png")])


def test_a_picture_of_another_size_is_refused_with_the_way_out(tmp_path: Path) -> None:
    from PIL import Image

    with pytest.raises(MismatchError, match=r"image\.resize"):
        pictures().classify(Image.new("RGB", (50, 50)))
    with pytest.raises(FilesError, match="a picture expected"):
        pictures().classify(CLASSIFIER / "model.json")
    with pytest.raises(MismatchError, match="numbers for the network's input"):
        pictures().classify([1, 2, 3])
    with pytest.raises(MismatchError, match="input 2"):
        pictures().classify([pictures().encode(Image.new("RGBA", (8, 6)))[0], [1, 2]])


def test_several_outputs_keep_their_names_and_ranges() -> None:
    nn = ml5.load(REGRESSION)
    answer = {item["label"]: item["value"] for item in nn.predict([0, 0])}
    raw = nn.module(torch.from_numpy(nn.encode([0, 0])))[0].tolist()
    for unit, (name, entry) in zip(raw, nn.meta["outputs"].items(), strict=True):
        assert answer[name] == unit * (entry["max"] - entry["min"]) + entry["min"]
