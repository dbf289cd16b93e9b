"""Teachable Machine exports: what real tf.js answers, what is refused, training, and files that come back the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SAMPLES, SHARED_MODELS, snapshot
from judges import CASES, TfjsJudge
from PIL import Image

from tfjs_torch import TfjsTorchError, TfjsTorchWarning, load_model, teachable
from tfjs_torch.teachable.analyser import normalized
from tfjs_torch.teachable.pictures import prepared

GOLDEN = CASES / "teachable"
KINDS = {"image": "image", "image-grayscale": "image", "pose": "pose", "audio": "audio"}
EXPORT = ("model.json", "weights.bin", "metadata.json")
SHARED = [name for name in ("tm-image-ml5ex", "topo-tm-audio-5") if (SHARED_MODELS / name).is_dir()]


def files_of(name: str, **metadata: Any) -> dict[str, bytes]:
    """The export, with entries of its metadata changed; None takes one out."""
    files = {file: (GOLDEN / name / file).read_bytes() for file in EXPORT}
    document = {**json.loads(files["metadata.json"]), **metadata}
    return {**files, "metadata.json": json.dumps({k: v for k, v in document.items() if v is not None}).encode()}


def pixels(*shape: int) -> Any:
    """The picture that tests/js/golden/teachable.mjs paints."""
    return (np.arange(np.prod(shape)) * 7919 % 251).reshape(shape).astype(np.uint8)


def by_label(model: Any, answer: list[dict[str, Any]]) -> list[float]:
    found = {row["label"]: row["confidence"] for row in answer}
    return [found[label] for label in model.labels]


def upright_of(image: Any) -> Any:
    return prepared(image.transpose(Image.Transpose.ROTATE_270), 224, False, "teachable")


def painted(color: tuple[int, int, int], seed: int) -> Any:
    noise = np.random.default_rng(seed).integers(-20, 20, (40, 50, 3))
    return (np.array(color) + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", KINDS)
def test_answers_are_those_of_tfjs(name: str) -> None:
    model = teachable.load(GOLDEN / name)
    shape = [size or 0 for size in (model.module.input_shapes[0] or ())[1:]]
    ready = pixels(*shape).astype(np.float32) / np.float32(127) - 1
    expected = json.loads((GOLDEN / name / "expected.json").read_text())["answers"]
    assert model.kind == KINDS[name]
    assert by_label(model, model.classify(ready, preprocess=None)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", SHARED)
def test_outputs_of_real_exports_are_those_of_tfjs(name: str) -> None:
    model, folder = teachable.load(SHARED_MODELS / name), SHARED_MODELS / name / "reference"
    shapes = json.loads((folder / "shapes.json").read_text())
    given = np.fromfile(folder / "input_0.bin", "<f4").reshape(shapes["inputs"][0]["shape"])
    expected = np.fromfile(folder / "output_0.bin", "<f4").reshape(shapes["outputs"][0]["shape"])
    found = [by_label(model, answer) for answer in model.classify(given, preprocess=None)]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


def test_pixels_of_the_models_own_size_are_only_scaled() -> None:
    model = teachable.load(GOLDEN / "image")
    expected = json.loads((GOLDEN / "image/expected.json").read_text())["answers"]
    for way in ("teachable", "ml5"):
        assert by_label(model, model.classify(pixels(224, 224, 3), preprocess=way)) == pytest.approx(expected, abs=1e-6)


def test_the_best_comes_first_and_a_list_gives_lists() -> None:
    model = teachable.load(GOLDEN / "image")
    one, two = model.classify([pixels(30, 40, 3), pixels(40, 30, 4)])
    assert [row["confidence"] for row in one] == sorted((row["confidence"] for row in one), reverse=True)
    assert by_label(model, two) == pytest.approx(by_label(model, model.classify(pixels(40, 30, 4))), abs=1e-6)


def test_grey_models_weigh_colours_as_the_library_does() -> None:
    model = teachable.load(GOLDEN / "image-grayscale")
    gray = np.full((96, 96), 100, np.uint8)
    value = np.float32(100) * np.array([0.2989, 0.587, 0.114], np.float32)
    ready = np.full((96, 96, 1), value.astype(np.float64).sum().astype(np.float32) / np.float32(127) - 1, np.float32)
    assert (model.image_size, model.grayscale) == (96, True)
    assert model.classify(gray) == model.classify(ready)


def test_the_keras_snippet_crops_with_lanczos_and_scales_by_127_and_a_half() -> None:
    from PIL import ImageOps

    model, image = teachable.load(GOLDEN / "image"), Image.fromarray(pixels(90, 160, 3))
    fitted = np.asarray(ImageOps.fit(image, (224, 224), Image.Resampling.LANCZOS), np.float32)
    assert model.classify(image, preprocess="keras") == model.classify(fitted / np.float32(127.5) - 1)


def test_pictures_are_turned_as_their_exif_data_say(tmp_path: Path) -> None:
    image, exif = Image.fromarray(pixels(30, 60, 3)), Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turn clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    for way in ("teachable", "ml5"):
        found = prepared(tmp_path / "turned.png", 224, False, way)
        upright = prepared(image.transpose(Image.Transpose.ROTATE_270), 224, False, way)
        np.testing.assert_allclose(found, upright, atol=20 / 127)  # Chromium interpolates turned pictures more finely
    assert (prepared(Image.open(tmp_path / "turned.png"), 224, False, "teachable") == upright_of(image)).all()


def test_pairs_of_heatmaps_and_offsets_are_joined_as_the_pose_library_does() -> None:
    model, random = teachable.load(GOLDEN / "pose"), np.random.default_rng(1)
    heatmaps, offsets = random.random((5, 5, 17), np.float32), random.random((5, 5, 34), np.float32)
    joined = np.concatenate([heatmaps, offsets], 2).ravel()
    assert model.classify((heatmaps, offsets)) == model.classify(joined) == model.classify(joined.tolist())


def test_spectrograms_are_normalized_one_by_one() -> None:
    model, random = teachable.load(GOLDEN / "audio"), np.random.default_rng(1)
    loud = random.normal(-60, 20, (43, 232)).astype(np.float32)
    assert normalized(loud[None]).std() == pytest.approx(1, abs=1e-5)
    assert model.classify(loud) == model.classify(normalized(loud[None])[0], preprocess=None)


@pytest.mark.parametrize("name", KINDS)
def test_saved_unchanged_an_export_is_the_same_to_the_byte(name: str, tmp_path: Path) -> None:
    teachable.load(GOLDEN / name).save(tmp_path)
    assert snapshot(tmp_path) == {file: (GOLDEN / name / file).read_bytes() for file in EXPORT}


def test_a_list_of_paths_is_an_export() -> None:
    assert teachable.load([GOLDEN / "pose" / file for file in EXPORT]).kind == "pose"


def test_other_labels_are_saved_in_metadata_alone(tmp_path: Path) -> None:
    model = teachable.load(GOLDEN / "pose")
    model.labels[0] = "höher"
    model.save(tmp_path / "export.zip")
    assert teachable.load(tmp_path / "export.zip").labels == ["höher", "down"]


def test_a_new_class_is_learnt_and_the_others_are_kept(tmp_path: Path) -> None:
    model = teachable.load(GOLDEN / "image")
    colors = {"cat": (200, 40, 40), "dog": (40, 200, 40), "nobody": (40, 40, 200), "bird": (220, 220, 220)}
    data = {label: [painted(color, seed) for seed in range(6)] for label, color in colors.items()}
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    history = model.train(data, epochs=60, learning_rate=0.02, seed=1, progress=False)
    assert history.accuracy[-1] == 1
    assert all(model.classify(painted(color, 99))[0]["label"] == label for label, color in colors.items())
    model.save(tmp_path)
    again = teachable.load(tmp_path)
    assert again.classify(painted((220, 220, 220), 7)) == model.classify(painted((220, 220, 220), 7))
    assert again.labels == ["cat", "dog", "nobody", "bird"]
    base = [key for key in before if "Conv" in key or "block" in key]
    assert base
    assert all(torch.equal(before[key], again.module.state_dict()[key]) for key in base)


@pytest.mark.parametrize("folder", [GOLDEN / "image", *(SHARED_MODELS / name for name in SHARED[:1])], ids=str)
def test_with_a_new_class_real_tfjs_loads_the_files_and_answers_the_same(
    folder: Path, judge: TfjsJudge, tmp_path: Path
) -> None:
    model = teachable.load(folder)
    rows = [(painted((seed * 40, 99, 99), seed), label) for seed, label in enumerate([*model.labels, "new"])]
    model.train(rows, epochs=2, seed=1, validation_split=0, progress=False)
    model.save(tmp_path)
    ready = pixels(1, 224, 224, 3).astype(np.float32) / np.float32(127) - 1
    (theirs,) = judge.model(tmp_path, predict=[ready]).outputs
    assert by_label(model, model.classify(ready)[0]) == pytest.approx(theirs[0].tolist(), abs=1e-5)


def test_files_after_training_have_the_names_and_keys_of_the_export(tmp_path: Path) -> None:
    model = teachable.load(GOLDEN / "image")
    rows = [(painted((9, 9, 9), 1), "dog"), (painted((99, 9, 9), 1), "new")]
    (told,) = model.train(rows, epochs=1, progress=False).notes
    assert "no examples of cat, nobody" in told
    model.save(tmp_path)
    assert sorted(snapshot(tmp_path)) == sorted(EXPORT)
    before, after = (json.loads((folder / "model.json").read_text()) for folder in (GOLDEN / "image", tmp_path))
    assert [*before] == [*after]
    assert before["weightsManifest"][0]["paths"] == after["weightsManifest"][0]["paths"]


@pytest.mark.parametrize(("name", "rows"), [("pose", (1275,)), ("audio", (43, 232))])
def test_poses_and_sounds_are_trained_as_pictures_are(name: str, rows: tuple[int, ...]) -> None:
    model, random = teachable.load(GOLDEN / name), np.random.default_rng(3)
    means = {label: random.normal(0, 1, rows) for label in [*model.labels, "one more"]}
    data = [
        ((mean + random.normal(0, 0.1, rows)).astype(np.float32), label)
        for label, mean in means.items()
        for _ in "12345"
    ]
    rate = {"pose": 0.001, "audio": 0.01}[name]
    history = model.train(data, epochs=40, learning_rate=rate, validation_split=0, seed=1, progress=False)
    assert model.labels[-1] == "one more"
    assert history.loss[-1] < 0.5 * history.loss[0]


def test_a_folder_of_folders_is_training_data(tmp_path: Path) -> None:
    for label, color in {"dog": (40, 200, 40), "new": (250, 250, 250)}.items():
        (tmp_path / label).mkdir()
        Image.fromarray(painted(color, 1)).save(tmp_path / label / "1.png")
    model = teachable.load(GOLDEN / "image")
    model.train(tmp_path, epochs=1, progress=False)
    assert model.labels == ["cat", "dog", "nobody", "new"]


def test_what_fails_leaves_the_model_as_it_was() -> None:
    model = teachable.load(GOLDEN / "image")
    before = model.classify(pixels(50, 60, 3))

    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    rows = [(painted((9, 9, 9), 1), label) for label in [*model.labels, "new"]]
    with pytest.raises(KeyboardInterrupt):
        model.train(rows, epochs=3, on_epoch=stop, progress=False)
    assert (model.labels, model.classify(pixels(50, 60, 3))) == (["cat", "dog", "nobody"], before)


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("image", {"labels": ["a"]}, "3 labels expected"),
        ("image", {"packageName": "@somebody/else"}, "taken for a model of images"),
        ("image", {"imageSize": 96}, "imageSize 224 expected"),
        ("image", {"grayscale": True}, "is said to be grayscale"),
    ],
)
def test_odd_metadata_are_told(name: str, changed: dict[str, Any], message: str) -> None:
    with pytest.warns(TfjsTorchWarning, match=message):
        model = teachable.load(files_of(name, **changed))
    assert (len(model.labels), model.image_size) == (3, 224)


@pytest.mark.parametrize("name", ["image", "pose"])
def test_exports_of_2019_are_told_apart_by_their_inputs(name: str) -> None:
    old = files_of(
        name, packageName=None, packageVersion=None, imageSize=None, modelSettings=None, tmSupportVersion="0.6"
    )
    assert teachable.load(old).kind == name


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("image", {"labels": None}, "a list of texts under 'labels' expected"),
        ("image", {"labels": [1, 2, 3]}, "a list of texts"),
        ("image", {"imageSize": "224"}, "an imageSize from 1"),
        ("image", {"packageName": "@teachablemachine/pose"}, "a model of poses with 2 axes expected"),
        ("audio", {"wordLabels": "clap"}, "a list of texts under 'wordLabels' expected"),
    ],
)
def test_broken_metadata_are_refused(name: str, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(TfjsTorchError, match=message):
        teachable.load(files_of(name, **changed))


def test_without_metadata_the_message_says_what_to_do() -> None:
    with pytest.raises(TfjsTorchError, match=r"metadata\.json beside model\.json expected.*load_model"):
        teachable.load({name: data for name, data in files_of("image").items() if name != "metadata.json"})
    assert load_model(GOLDEN / "image")


@pytest.mark.parametrize(
    ("name", "x", "message"),
    [
        ("image", np.zeros((3, 4, 5), np.uint8), r"the shape \[h, w\]"),
        ("image", np.zeros((3, 4, 3), np.float32), r"of the shape \[224, 224, 3\] expected"),
        ("image", np.zeros((0, 4, 3), np.uint8), "found none"),
        ("image", "no-such.png", "a picture expected"),
        ("image", None, "a PIL image, a path or an array expected"),
        ("image", [], "at least one sample"),
        ("image", Image.new("RGB", (0, 5)), "an empty one"),
        ("image", torch.zeros(3).to_sparse(), "a dense tensor"),
        ("pose", np.zeros((0, 3), np.float32), "numbers expected, found none"),
        ("pose", np.zeros(7, np.float32), r"\[1275\] expected"),
        ("pose", "me.png", "posenet is not in the export"),
        ("pose", (np.zeros((5, 5, 17)), np.zeros((4, 5, 34))), "heatmaps"),
        ("audio", np.zeros(100, np.float32), "at least 44032 samples"),
        ("audio", np.zeros(50_000, np.float32), "silent"),
        ("audio", "no-such.wav", "a .wav expected, found"),
        ("audio", np.zeros((2, 3), np.float32), r"\[43, 232, 1\] expected"),
    ],
)
def test_other_samples_are_refused(name: str, x: Any, message: str) -> None:
    with pytest.raises(TfjsTorchError, match=message):
        teachable.load(GOLDEN / name).classify(x)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "at least one example"),
        ([("x",)], "pairs"),
        ([(pixels(4, 4, 3), 5)], "a text as label"),
        ({"a": pixels(4, 4, 3)}, "a list of examples"),
        ("no-such-folder", "a folder with one folder for each label"),
        ([([pixels(4, 4, 3)], "a")], "one sample for each label"),
        (None, "pairs"),
    ],
)
def test_other_training_data_are_refused(data: Any, message: str) -> None:
    with pytest.raises(TfjsTorchError, match=message):
        teachable.load(GOLDEN / "image").train(data)


def test_saves_of_ml5_are_sent_to_ml5() -> None:
    with pytest.raises(TfjsTorchError, match=r"ml5\.load reads it"):
        teachable.load(SAMPLES / "ml5-classifier")


def test_another_preprocessing_is_refused_by_name() -> None:
    with pytest.raises(TfjsTorchError, match='"teachable", "ml5", "keras" or None expected'):
        teachable.load(GOLDEN / "image").classify(pixels(4, 4, 3), preprocess="tf")


@pytest.mark.parametrize(
    "odd", [10**400, [10**400] * 3, (np.zeros((2, 2, 17)), np.zeros((2, 2, 34)))], ids=["number", "list", "pair"]
)
@pytest.mark.parametrize("kind", ["pose", "audio", "image"])
def test_odd_inputs_give_errors_of_this_package(kind: str, odd: Any) -> None:
    with pytest.raises(TfjsTorchError):
        teachable.load(GOLDEN / kind).classify(odd)
