"""ml5.check: what it says of spoilt files is what real ml5 does with them (ml5_situations.py has ml5's verdicts)."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import CASES
from ml5_judge import Ml5Judge
from ml5_situations import GOOD, ROUTES, SITUATIONS, VERSIONS, Files
from ml5_spoiling import META, MODEL, WEIGHTS, Document, layers, parsed, with_meta, with_model
from test_ml5_matrix import ask, verdict

from tfjs_torch import TfjsTorchError, ml5
from tfjs_torch.errors import FilesError
from tfjs_torch.ml5.findings import SEVERITIES

# The order of the inputs is the order of the keys: no one can know that it was another one.
UNKNOWABLE = {"inputs-reordered"}


def failing(findings: list[ml5.Finding]) -> set[tuple[str, str]]:
    return {(version, route) for f in findings for version, routes in f.fails.items() for route in routes}


def codes(files: Any) -> list[str]:
    return [finding.code for finding in ml5.check(files)]


@pytest.mark.parametrize("name", sorted({*SITUATIONS} - UNKNOWABLE))
def test_what_fails_in_real_ml5_is_foretold_and_nothing_else(name: str) -> None:
    case = SITUATIONS[name]
    wrong = {(v, route) for v, routes in case.verdicts.items() for route in ROUTES if routes[route] != "ok"}
    assert failing(ml5.check(case.spoil(GOOD))) == wrong


@pytest.mark.parametrize("name", [name for name, case in SITUATIONS.items() if case.harmless])
def test_what_works_everywhere_is_no_error(name: str) -> None:
    assert [f for f in ml5.check(SITUATIONS[name].spoil(GOOD)) if f.severity == "error"] == []


SAID = {
    "custom-name": "custom-name",
    "weights-file-renamed": "renamed-weights",
    "meta-renamed": "renamed-meta",
    "browser-duplicates": "browser-duplicate",
    "path-weights-bin": "weights-path",
    "two-shards": "several-weight-files",
    "two-groups": "several-weight-files",
    "meta-missing": "meta-missing",
    "weights-missing": "weights-missing",
    "model-missing": "network-missing",
    "other-json-first": "other-json",
    "never-trained": "untrained",
    "weight-without-layer": "weights-do-not-fit",
    "names-with-colon-zero": "weight-names",
    "too-few-bytes": "weights-short",
    "too-many-bytes": "weights-long",
    "quantized-float16": "float16",
    "dtype-float64": "weights-dtype",
    "graph-as-functional": "functional-class",
    "keras3-batch-shape": "keras3",
    "keras3-dtype-policy": "keras3",
    "topology-as-text": "topology-text",
    "graph-model": "graph-model",
    "activation-gelu": "activation-of-1x",
    "activation-leaky-relu": "unknown-activation",
    "layer-of-1x": "layer-of-1x",
    "layer-unknown": "unknown-layer",
    "model-not-json": "network-broken",
    "meta-of-0-4": "meta-0.4",
    "meta-with-null-range": "range-missing",
    "constant-column": "range-empty",
    "normalized-dropped": "normalized-missing",
    "ranges-dropped": "range-missing",
    "input-missing": "meta-of-another-save",
    "outputs-missing": "meta-broken",
    "legend-dropped": "legend-missing",
    "legend-reordered": "legend-order",
    "number-labels": "number-labels",
    "one-number-label": "number-labels",
}


@pytest.mark.parametrize("name", SAID)
def test_each_situation_has_one_name(name: str) -> None:
    assert codes(SITUATIONS[name].spoil(GOOD)) == [SAID[name]]


# ---- more than the situations ----------------------------------------------------------------------------------------


def meta_changed(**change: Any) -> Files:
    return with_meta(GOOD, lambda d: d.update(change))


def column_changed(side: str, name: str, **change: Any) -> Files:
    return with_meta(GOOD, lambda d: d[side][name].update(change))


def ranged(low: Any, high: Any) -> Document:
    return {"dtype": "number", "min": low, "max": high}


def configured(layer: int = 0, **options: Any) -> Files:
    return with_model(GOOD, lambda d: layers(d)[layer]["config"].update(options))


def known(class_name: str, **options: Any) -> Document:
    return {"class_name": class_name, "config": options}


def layer_named(name: str, layer: int = 1) -> Files:
    quoted = json.dumps(name)[1:-1].encode()
    return GOOD | {MODEL: GOOD[MODEL].replace(f"dense_Dense{layer}".encode(), quoted)}


def trained(optimizer: Document, loss: Any = "categorical_crossentropy", **more: Any) -> Files:
    training = {"loss": loss, "optimizer_config": optimizer, **more}
    return with_model(GOOD, lambda d: d.update(trainingConfig=training))


NUMBERS = {name: ranged(0, 1) for name in "abcd"}
CODES = {"red": [1, 0, 0, 0], "yellow": [1, 0, 0, 0], "green": [0, 0, 1, 0], "blue": [0, 0, 0, 1]}
FEW = {"red": [1, 0, 0, 0], "yellow": [0, 1, 0, 0], "blue": [0, 0, 0, 1]}
OTHERS: dict[str, tuple[Files, list[str]]] = {
    "inputUnits of another network": (meta_changed(inputUnits=[4]), ["units"]),
    "outputUnits of another network": (meta_changed(outputUnits=2), ["units"]),
    "a boolean input": (with_meta(GOOD, lambda d: d["inputs"].update(on={"dtype": "boolean"})), ["boolean-column"]),
    "a code twice": (column_changed("outputs", "colour", legend=CODES), ["legend-not-one-hot"]),
    "a label too few": (column_changed("outputs", "colour", legend=FEW), ["legend-codes"]),
    "a range that is text": (column_changed("inputs", "r", min="0"), ["meta-broken"]),
    "numbers behind a softmax": (meta_changed(outputs=NUMBERS), ["labels-missing"]),
    "a web page as meta": (GOOD | {META: b"<!DOCTYPE html><p>404"}, ["meta-broken"]),
    "a web page as network": (GOOD | {MODEL: b"<!DOCTYPE html><p>404"}, ["network-broken"]),
    "a network that is a list": (GOOD | {MODEL: b"[]"}, ["network-broken"]),
    "NaN that nothing uses": (GOOD | {META: GOOD[META].replace(b'"min":0,', b'"min":NaN,', 1)}, ["meta-nan"]),
    "weights that are NaN": (GOOD | {WEIGHTS: b"\x00\x00\xc0\x7f" + GOOD[WEIGHTS][4:]}, ["weights-nan"]),
    "another .bin in front": (GOOD | {"a.bin": b"1234"}, ["other-bin"]),
    "two metas": (GOOD | {"a_meta.json": GOOD[META]}, ["other-json"]),
    "only the meta": ({META: GOOD[META]}, ["network-missing"]),
    "only the weights": ({WEIGHTS: GOOD[WEIGHTS]}, ["network-missing"]),
    "only training data": ({"data.json": b'{"data":[]}'}, ["training-data"]),
    "nothing": ({}, ["network-missing"]),
    "a KNN": ({"myKNN.json": b'{"dataset":{},"tensors":[]}'}, ["knn"]),
    "a featureExtractor": (
        with_model(without_meta := {k: v for k, v in GOOD.items() if k != META}, lambda d: d.update(ml5Specs={})),
        ["feature-extractor"],
    ),
    "a featureExtractor of 1.4": (
        with_model(without_meta, lambda d: d.update(userDefinedMetadata={"labelIndex": {}})),
        ["feature-extractor"],
    ),
    "Teachable Machine": (without_meta | {"metadata.json": b'{"labels":["a"]}'}, ["teachable-machine"]),
    "a model of tf.js": (with_model(without_meta, lambda d: d.update(format="layers-model")), ["plain-model"]),
    "a weight without numbers": (
        with_model(GOOD, lambda d: d["weightsManifest"][0]["weights"][0].update(shape=[3, 0])),
        ["network-broken"],
    ),
    "sizes that nobody knows": (configured(batch_input_shape=[None, None]), ["input-unknown"]),
    "an axis too many": (configured(batch_input_shape=[None, None, 3]), ["meta-of-another-save"]),
    "Softmax in capitals": (configured(1, activation="Softmax"), []),
    "ReLU in capitals": (configured(activation=known("ReLU")), []),
    "SOFTMAX in capitals": (configured(1, activation="SOFTMAX"), ["unknown-activation"]),
    "normalised as a number": (meta_changed(isNormalized=1), []),
    "initializers as text": (configured(kernel_initializer="he_normal", bias_initializer="zeros"), []),
    "an L1L2": (configured(kernel_regularizer=known("L1L2", l1=0.1), bias_regularizer="l1l2"), []),
    "names that look odd": (layer_named("my-layer.1/x"), []),
    "a trainingConfig of tf.js": (trained(known("Adam", learning_rate=0.1, beta_1=0.9, beta_2=0.9)), []),
    "a short trainingConfig": (trained(known("SGD"), metrics=["acc"]), []),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_told_for_what_they_are(name: str) -> None:
    files, expected = OTHERS[name]
    assert codes(files) == expected


LOADED_BY_OTHERS = ("knn", "feature-extractor", "teachable-machine")
JUDGED = [name for name, (_, found) in OTHERS.items() if {*found}.isdisjoint(LOADED_BY_OTHERS) and "front" not in name]


@pytest.mark.parametrize("name", [name for name in JUDGED if name != "two metas"])
def test_what_is_foretold_of_others_is_what_real_ml5_does(ml5_judge: Ml5Judge, name: str) -> None:
    files, right = OTHERS[name][0], ask(ml5_judge, "1.x", "object", GOOD)
    wrong = {(v, r) for v in VERSIONS for r in ROUTES if verdict(ml5_judge, v, r, files, right, 1e-5) != "ok"}
    assert failing(ml5.check(files)) == wrong


def test_whole_numbers_are_warned_of() -> None:
    (finding,) = ml5.check(configured(dtype="int32"))
    assert (finding.code, finding.severity, finding.repairable) == ("input-whole", "warning", False)


MENDABLE: dict[str, tuple[Files, str]] = {
    "Keras' L2": (configured(kernel_regularizer=known("L2", l2=0.01)), "unknown-regularizer"),
    "Keras' L1 as text": (configured(bias_regularizer="l1"), "unknown-regularizer"),
    "an own regularizer": (configured(kernel_regularizer=known("Mine")), "unknown-regularizer"),
    "an activity_regularizer": (configured(1, activity_regularizer=known("L1L2")), "activity-regularizer"),
    "Keras' LecunNormal": (configured(kernel_initializer=known("LecunNormal")), "unknown-initializer"),
    "lecun_uniform": (configured(kernel_initializer="lecun_uniform"), "unknown-initializer"),
    "an own initializer": (configured(kernel_initializer=known("Mine")), "unknown-initializer"),
    "no value": (configured(bias_initializer="constant"), "unknown-initializer"),
    "a distribution of Keras": (
        configured(kernel_initializer=known("VarianceScaling", distribution="untruncated_normal")),
        "unknown-initializer",
    ),
    "an initializer of 1.x": (configured(kernel_initializer=known("LeCunUniform")), "initializer-of-1x"),
    "an own constraint": (configured(kernel_constraint=known("Mine")), "unknown-constraint"),
    "float16 inputs": (configured(dtype="float16"), "input-dtype"),
    "float64 inputs": (configured(dtype="float64"), "input-dtype"),
    "weights as an option": (configured(weights=[[1]]), "weights-option"),
    "a blank in the first name": (layer_named("my layer"), "layer-names"),
    "a name that begins with _": (layer_named("_d", 2), "layer-names"),
    "a name with an accent": (layer_named("é", 2), "layer-names"),
    "a colon": (layer_named("d:0"), "layer-names"),
    "an Adam without numbers": (trained(known("Adam")), "training-config"),
    "an optimizer of Keras": (trained(known("RMSprop", learning_rate=0.1)), "training-config"),
    "a loss in short": (trained(known("SGD", learning_rate=0.1), "mse"), "training-config"),
    "an own metric": (trained(known("SGD"), metrics=["mine"]), "training-config"),
    "weights of losses": (trained(known("SGD"), loss_weights=[1]), "training-config"),
}


@pytest.mark.parametrize("name", MENDABLE)
def test_words_that_tfjs_does_not_know_are_told_as_real_ml5_does_and_mended(ml5_judge: Ml5Judge, name: str) -> None:
    files, code = MENDABLE[name]
    right, findings = ask(ml5_judge, "1.x", "object", GOOD), ml5.check(files)
    mended, _ = ml5.repaired_files(files)
    said = {(v, r): verdict(ml5_judge, v, r, files, right, 1e-6) for v in VERSIONS for r in ROUTES}
    assert [(finding.code, finding.repairable) for finding in findings] == [(code, True)]
    assert failing(findings) == {place for place, word in said.items() if word != "ok"}
    assert {verdict(ml5_judge, v, r, mended, right, 1e-6) for v in VERSIONS for r in ROUTES} == {"ok"}
    assert ml5.check(mended) == []


@pytest.mark.parametrize("number", range(1, 8))
def test_every_mixture_of_numbered_downloads_loads_after_its_names_are_mended(number: int) -> None:
    names = {name: name.replace(".", " (1).", 1) if number & 1 << i else name for i, name in enumerate(GOOD)}
    files = {names[name]: data for name, data in GOOD.items()}
    assert set(codes(files)) <= {"browser-duplicate", "renamed-weights", "other-json"}
    assert ml5.repaired_files(files)[0] == GOOD


def test_a_cells_name_fails_in_0x_only() -> None:
    # tf.js 4.22 leaves the name before the last out (container.ts, loadWeights), 1.7.4 does not.
    files = with_model(GOOD, lambda d: d["weightsManifest"][0]["weights"][0].update(name="dense_Dense1/cell/kernel"))
    (finding,) = ml5.check(files)
    assert (finding.code, list(finding.fails)) == ("weight-names", ["0.x"])


def test_nobody_is_told_of_silu_that_0x_can_be_helped() -> None:
    (finding,) = ml5.check(with_model(GOOD, lambda d: layers(d)[0]["config"].update(activation="silu")))[:1]
    assert not finding.repairable


# ---- real saves, places, hostile files -------------------------------------------------------------------------------

KNOWN = {"numeric-labels": {"number-labels"}, "custom-name": {"custom-name"}, "constant-column": {"range-empty"}}


@pytest.mark.parametrize("folder", sorted((CASES / "ml5").iterdir()), ids=lambda folder: str(folder.name))
def test_what_real_ml5_saved_has_no_other_faults_than_known(folder: Path) -> None:
    files = {f.name: f for f in folder.iterdir() if f.name not in ("data.json", "expected.json")}
    known = next((codes for name, codes in KNOWN.items() if name in folder.name), set())
    assert set(codes(files)) == known


def zipped(files: Files) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"my model/{name}", data)
    return stream.getvalue()


PLACES: dict[str, Callable[[Path], Any]] = {
    "folder": lambda folder: folder,
    "text": str,
    "json": lambda folder: folder / MODEL,
    "meta": lambda folder: folder / META,
    "list": lambda folder: sorted(folder.iterdir()),
    "paths": lambda folder: {path.name: path for path in folder.iterdir()},
    "zip": lambda folder: zipped({path.name: path.read_bytes() for path in folder.iterdir()}),
}


@pytest.mark.parametrize("place", PLACES)
def test_files_may_lie_anywhere(place: str, tmp_path: Path) -> None:
    for name, data in SITUATIONS["meta-of-0-4"].spoil(GOOD).items():
        (tmp_path / name).write_bytes(data)
    assert codes(PLACES[place](tmp_path)) == ["meta-0.4"]


def test_a_file_in_front_of_the_network_is_a_warning() -> None:
    (finding,) = ml5.check(SAMPLES / "ml5-classifier")
    assert (finding.severity, finding.where, finding.fails["1.x"]) == ("warning", "expected.json", ("files",))


@pytest.mark.parametrize("source", ["not/there", 7, None, [1], b"no zip", {"a": 1}, {"../a": b""}, ["a.json"]])
def test_no_place_at_all_is_an_error(source: Any) -> None:
    with pytest.raises(FilesError):
        ml5.check(source)


def test_two_models_in_one_folder_are_asked_apart(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"several: a\.json, b\.json"):
        ml5.check({"a.json": GOOD[MODEL], "b.json": GOOD[MODEL], WEIGHTS: GOOD[WEIGHTS]})


def test_a_finding_becomes_json() -> None:
    (finding,) = ml5.check(SITUATIONS["browser-duplicates"].spoil(GOOD))
    told = json.loads(json.dumps(finding.to_dict()))
    assert told["fails"] == {"0.x": ["string", "files"], "1.x": ["string", "files"]}
    assert str(finding).startswith("model (1).json, model_meta (1).json, model.weights (1).bin: ")


def everything_is_told(files: Files) -> None:
    try:
        found = ml5.check(files)
        assert all(f.severity in SEVERITIES and f.message and f.advice and {*f.fails} <= {*VERSIONS} for f in found)
        ml5.repaired_files(files)
    except TfjsTorchError:
        pass


scalars = (
    st.none() | st.booleans() | st.integers(-3, 5) | st.sampled_from([1e400, 2**70, -0.5, "", "1", "softmax", "r"])
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


def places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@st.composite
def damaged(draw: st.DrawFn, name: str) -> Files:
    document = copy.deepcopy(parsed(draw(st.sampled_from(SOUND)), name))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(document) or [([None], 0)]))
        if draw(st.booleans()):
            container[key] = draw(values)
        else:
            del container[key]
    return GOOD | {name: json.dumps(document).encode()}


SOUND = [SITUATIONS[name].spoil(GOOD) for name in ("as-saved", "meta-of-0-4", "number-labels", "graph-as-functional")]


@given(damaged(META))
@settings(max_examples=300)
def test_a_damaged_meta_becomes_findings(files: Files) -> None:
    everything_is_told(files)


@given(damaged(MODEL))
@settings(max_examples=300)
def test_a_damaged_network_becomes_findings(files: Files) -> None:
    everything_is_told(files)


@pytest.mark.parametrize("name", [MODEL, META])
@pytest.mark.parametrize("depth", [900, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"config":', b'{"class_name":"Sequential","config":'])
def test_depth_hurts_nobody(name: str, depth: int, opening: bytes) -> None:
    closing = b"}" if opening[:1] == b"{" else b"]"
    text = opening * depth + b"1" + closing * depth
    everything_is_told(GOOD | {name: b'{"modelTopology":' + text + b',"inputs":' + text + b',"outputs":1}'})
