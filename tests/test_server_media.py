"""POST /predict with pictures and sounds in files: the library's answers, limits before decoding, nothing left."""

from __future__ import annotations

import io
import json
import random
import struct
import wave
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers import SHARED_MODELS
from judges import CASES
from PIL import Image
from serving import CLASSIFIER, Server, ask, get, multipart, part, problem_of, saved, serving, unharmed, zipped

from tfjs_torch import teachable

EXPORT = ("model.json", "weights.bin", "metadata.json")
ML5 = CASES / "ml5/1.4.0-imageClassification"
File = tuple[str, bytes]


def export(name: str) -> dict[str, bytes]:
    return {file: (CASES / "teachable" / name / file).read_bytes() for file in EXPORT}


IMAGE, AUDIO = export("image"), export("audio")
PIXELS = (np.arange(90 * 130 * 3) * 7919 % 251).reshape(90, 130, 3).astype(np.uint8)


def file_of(array: Any, kind: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def png_of(width: int, height: int) -> bytes:
    """A header that claims a size, and hardly any pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def wav_of(samples: Any, rate: int = 44_100) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return stream.getvalue()


NOISE = np.random.default_rng(1).uniform(-0.5, 0.5, 50_000)
PNG, WAV = file_of(PIXELS), wav_of(NOISE)


def asked(
    server: Server,
    model: dict[str, bytes] | str,
    files: Sequence[File],
    field: str = "picture",
    path: str = "/predict",
    **fields: str | list[str],
) -> httpx.Response:
    parts = [part(data, name, name) for name, data in model.items()] if isinstance(model, dict) else []
    fields = fields if isinstance(model, dict) else {"model": model, **fields}
    parts += [part(data, field, name) for name, data in files]
    texts = [(name, text) for name, given in fields.items() for text in ([given] if isinstance(given, str) else given)]
    body, kind = multipart(*parts, *(part(text.encode(), name) for name, text in texts))
    return ask(server, "POST", path, content=body, headers={"Content-Type": kind})


def results(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"task", "results", "warnings"}
    return response.json()["results"]


def by_label(answer: list[dict[str, Any]], labels: Sequence[str]) -> list[float]:
    found = {row["label"]: row["confidence"] for row in answer}
    return [found[label] for label in labels]


PICTURES = {
    "cat.png": PNG,
    "small.png": file_of(PIXELS[:5, :7]),
    "clear.png": file_of(np.dstack([PIXELS, PIXELS[..., 0]])),
    "turned.jpg": file_of(PIXELS, "JPEG", exif=turned()),
    "halved.jpg": file_of(PIXELS.repeat(8, 0)[:640].repeat(8, 1)[:, :960], "JPEG"),
    "progressive.jpg": file_of(PIXELS, "JPEG", progressive=True),
    "cat.webp": file_of(PIXELS, "WEBP"),
    "cat.gif": file_of(PIXELS, "GIF", "P", save_all=True, append_images=[Image.new("P", (130, 90))]),
    "cat.bmp": file_of(PIXELS, "BMP"),
}


# Answers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["", "teachable", "ml5", "keras"])
def test_pictures_are_answered_as_the_library_answers(way: str, server: Server, tmp_path: Path) -> None:
    model = teachable.load(IMAGE)
    paths = [tmp_path / name for name in PICTURES]
    for path in paths:
        path.write_bytes(PICTURES[path.name])
    wanted = [model.classify(path, way or "teachable") for path in paths]
    found = results(asked(server, IMAGE, list(PICTURES.items()), **({"preprocess": way} if way else {})))
    assert [by_label(one, model.labels) for one in found] == [
        pytest.approx(by_label(one, model.labels), abs=1e-6) for one in wanted
    ]


def test_a_picture_of_the_models_size_is_answered_as_by_tfjs(server: Server) -> None:
    picture = (np.arange(224 * 224 * 3) * 7919 % 251).reshape(224, 224, 3).astype(np.uint8)
    expected = json.loads((CASES / "teachable/image/expected.json").read_text())["answers"]
    labels = json.loads(IMAGE["metadata.json"])["labels"]
    found = results(asked(server, {"tm.zip": zipped(IMAGE)}, [("cat.png", file_of(picture))]))
    assert by_label(found, labels) == pytest.approx(expected, abs=1e-6)
    ready = (picture.astype(np.float32) / np.float32(127) - 1).tolist()
    assert by_label(results(asked(server, IMAGE, [], input=json.dumps(ready))), labels) == pytest.approx(expected)


def test_a_picture_for_a_network_of_ml5_is_answered_as_by_ml5(server: Server) -> None:
    files = {name: (ML5 / name).read_bytes() for name in ("model.json", "model_meta.json", "model.weights.bin")}
    for answer in json.loads((ML5 / "expected.json").read_text())["beforeSaving"]:
        picture = np.array(answer["input"], np.uint8).reshape(6, 8, 4)
        told = asked(server, files, [("drawn.png", file_of(picture))])
        wanted = {row["label"]: row["confidence"] for row in answer["ml5"]["classify"]}
        assert by_label(results(told), list(wanted)) == pytest.approx(list(wanted.values()), abs=1e-6)
        assert told.json()["task"] == "imageClassification"
    assert problem_of(asked(server, files, [("cat.png", PNG)]), 422)["where"] == "cat.png"
    assert problem_of(asked(server, files, [("cat.png", PNG)], preprocess="ml5"), 422)["where"] == "preprocess"


def extractor(name: str, **more: Any) -> dict[str, bytes]:
    """The export as a save of ml5.featureExtractor."""
    files = export(name)
    model = json.dumps({**json.loads(files["model.json"]), **more}).encode()
    return {"model.json": model, "weights.bin": files["weights.bin"]}


def test_saves_of_featureextractor_are_asked_with_pictures(server: Server) -> None:
    labels = ["blue", "red", "green"]
    picture = (np.arange(224 * 224 * 3) * 7919 % 251).reshape(224, 224, 3).astype(np.uint8)
    told = asked(server, extractor("image", ml5Specs={"mapStringToIndex": labels}), [("me.png", file_of(picture))])
    expected = json.loads((CASES / "teachable/image/expected.json").read_text())["answers"]
    assert by_label(results(told), labels) == pytest.approx(expected, abs=1e-6)
    head = extractor("pose", userDefinedMetadata={"task": "classification", "labelIndex": ["up", "down"]})
    assert "MobileNet" in problem_of(asked(server, head, [("me.png", PNG)]), 422)["detail"]


@pytest.mark.skipif(not (SHARED_MODELS / "tm-image-ml5ex").is_dir(), reason="the real models lie beside the repository")
def test_real_exports_are_asked_with_files(server: Server, tmp_path: Path) -> None:
    for name, field, file in (("tm-image-ml5ex", "picture", PNG), ("topo-tm-audio-5", "sound", WAV)):
        folder = SHARED_MODELS / name
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".bin")}
        (tmp_path / "file").write_bytes(file)
        model = teachable.load(folder)
        found = by_label(results(asked(server, files, [("file", file)], field)), model.labels)
        assert found == pytest.approx(by_label(model.classify(tmp_path / "file"), model.labels), abs=1e-6)


def test_sounds_are_answered_as_the_library_answers(server: Server, tmp_path: Path) -> None:
    model = teachable.load(AUDIO)
    (tmp_path / "clap.wav").write_bytes(WAV)
    wanted = pytest.approx(by_label(model.classify(tmp_path / "clap.wav"), model.labels), abs=1e-6)
    found = results(asked(server, AUDIO, [("clap.wav", WAV)] * 2, "sound"))
    assert [by_label(one, model.labels) for one in found] == [wanted, wanted]
    samples = (np.frombuffer(WAV[44:], "<i2") / 32768).tolist()
    assert results(asked(server, AUDIO, [], input=json.dumps(samples)))[0]["label"] == found[0][0]["label"]


def test_stored_models_are_asked_by_their_id(server: Server) -> None:
    own, files = saved(server, IMAGE)["id"], [("cat.png", PNG)]
    wanted = results(asked(server, IMAGE, files))
    assert results(asked(server, own, files)) == wanted
    assert results(asked(server, {}, files, path=f"/predict?model={own}")) == wanted
    assert results(asked(server, {}, files * 2, path=f"/predict?model={own}&preprocess=teachable")) == [wanted] * 2


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fort() -> Iterator[Server]:
    with serving("--max-upload", "64MiB", "--max-pixels", "1000000", "--max-sound", "200kB") as started:
        for model, field, file in ((IMAGE, "picture", PNG), (AUDIO, "sound", WAV)):
            asked(started, model, [("file", file)], field)  # what libraries open for good is open before anything
        yield started


@pytest.fixture
def safe(fort: Server) -> Iterator[Server]:
    """Nothing stays, not much memory is taken, and the server answers."""
    fort.forget_peak()
    before = fort.memory()
    with unharmed(fort):
        yield fort
    assert fort.memory("VmHWM") - before < 256 << 20
    assert get(fort, "/healthz").status_code == 200


def scans(count: int, between: bytes = b"") -> bytes:
    """A JPEG that goes over its pixels again and again; `between`: what stands behind the first time."""
    data = file_of(np.full((900, 900, 3), 90, np.uint8), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] + between + data[start:-2] * (count - 1) + data[-2:]


ANIMATED = file_of(PIXELS, save_all=True, append_images=[Image.new("RGB", (130, 90))])
REFUSED: dict[str, tuple[int, bytes]] = {
    "a text": (415, b"/etc/passwd"),
    "nothing": (415, b""),
    "half a header": (415, PNG[:20]),
    "half a picture": (422, PNG[: len(PNG) // 2]),
    "half an animation": (422, ANIMATED[: len(PNG) // 2]),
    "half a JPEG": (422, PICTURES["halved.jpg"][:3000]),
    "half a WebP": (415, PICTURES["cat.webp"][:3000]),
    "half a BMP": (422, PICTURES["cat.bmp"][:3000]),
    "another kind, which browsers do not draw": (415, file_of(PIXELS, "TIFF")),
    "a program for a printer": (415, file_of(PIXELS, "EPS")),
    "a vector graphic": (415, b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    "a million and one pixels": (413, file_of(np.zeros((1001, 1000), np.uint8))),
    "a bomb": (413, png_of(9000, 9000)),
    "a bomb that Pillow warns of": (413, png_of(12_000, 12_000)),
    "a bomb that Pillow refuses": (413, png_of(100_000, 100_000)),
    "a thin bomb": (413, png_of(2**31 - 1, 1)),
    "a GIF of any size": (413, b"GIF89a" + struct.pack("<HH", 65535, 65535) + PICTURES["cat.gif"][10:]),
    "a picture that is said to be larger than it is": (422, png_of(900, 900)),
    "a JPEG of a thousand scans": (413, scans(1000)),
    "scans behind a marker that programs skip": (413, scans(1000, b"\xff\x02\xff\xff")),
    "a strip": (422, file_of(np.zeros((1, 200_000, 3), np.uint8))),
    "a standing strip": (422, file_of(np.zeros((45_000, 20, 3), np.uint8))),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_pictures_that_are_none_or_cost_much_are_refused(what: str, safe: Server) -> None:
    status, data = REFUSED[what]
    for way in ("teachable", "ml5", "keras"):
        problem = problem_of(asked(safe, IMAGE, [("cat.png", PNG), ("odd.png", data)], preprocess=way), status)
        assert problem["where"] == "odd.png"


def test_many_pictures_may_have_four_times_as_many_pixels(safe: Server) -> None:
    large = [(f"{n}.png", file_of(np.zeros((1000, 1000), np.uint8))) for n in range(5)]
    assert len(results(asked(safe, IMAGE, large[:4]))) == 4
    assert problem_of(asked(safe, IMAGE, large), 413)["where"] == "4.png"


@pytest.mark.parametrize(
    ("what", "status", "data"),
    [
        ("a picture", 415, PNG),
        ("a text", 415, b"/etc/passwd"),
        ("a header alone", 422, WAV[:44]),
        ("half a header", 422, WAV[:30]),
        ("half a second", 422, WAV[:44_000]),
        ("silence", 422, wav_of(np.zeros(50_000))),
        ("no rate", 422, WAV[:24] + bytes(4) + WAV[28:]),
        ("a minute", 413, wav_of(np.zeros(60 * 44_100))),
    ],
)
def test_sounds_that_are_none_or_too_long_are_refused(what: str, status: int, data: bytes, safe: Server) -> None:
    assert problem_of(asked(safe, AUDIO, [("odd.wav", data)], "sound"), status)["where"] == "odd.wav"


def test_models_say_what_they_take(safe: Server) -> None:
    bare = {name: data for name, data in IMAGE.items() if name != "metadata.json"}
    for model, field, file, where in (
        (AUDIO, "picture", PNG, "picture"), (IMAGE, "sound", WAV, "sound"), (export("pose"), "picture", PNG, "picture"),
        (CLASSIFIER, "picture", PNG, "picture"), (CLASSIFIER, "sound", WAV, "sound"),
        (bare, "picture", PNG, "metadata.json"),
    ):  # fmt: skip
        assert problem_of(asked(safe, model, [("file", file)], field), 422)["where"] == where
    for fields in ({"input": "[1]"}, {"inputs": "[[1]]"}, {"preprocess": "tf"}, {"preprocess": ["ml5", "keras"]}):
        problem_of(asked(safe, IMAGE, [("cat.png", PNG)], **fields), 422)
    both = multipart(*(part(d, n, n) for n, d in IMAGE.items()), part(PNG, "picture", "a"), part(WAV, "sound", "b"))
    problem_of(ask(safe, "POST", "/predict", content=both[0], headers={"Content-Type": both[1]}), 422)
    problem_of(asked(safe, {}, [("cat.png", PNG)]), 400, 415)
    problem_of(asked(safe, "no-such-id", [("cat.png", PNG)]), 404)


def test_the_film_behind_a_phones_picture_costs_nothing(safe: Server) -> None:
    jpeg = file_of(PIXELS, "JPEG")
    film = b"\xff\xda\x00\x02" * 100_000
    plain, live = (asked(safe, IMAGE, [("live.jpg", jpeg + more)]).json() for more in (b"", film))
    assert plain["results"] == live["results"]


@pytest.mark.parametrize(
    ("model", "files", "fields"),
    [
        (IMAGE, [], {"input": "[[1]]", "preprocess": "ml5"}),
        (AUDIO, [("clap.wav", WAV)], {"preprocess": "keras"}),
    ],
)
def test_how_pictures_are_prepared_is_said_of_pictures_only(
    safe: Server, model: Any, files: Any, fields: dict[str, Any]
) -> None:
    problem = problem_of(asked(safe, model, files, "sound" if files else "picture", **fields), 422)
    assert problem["where"] == "preprocess"


def test_a_model_that_is_asked_in_the_wrong_way_says_the_right_one(safe: Server) -> None:
    assert "the field picture" in problem_of(asked(safe, IMAGE, [], input='{"r": 1}'), 422)["what_to_do"]
    assert "model=ID" in problem_of(asked(safe, {}, [("cat.png", PNG)]), 400)["what_to_do"]


def test_texts_are_never_paths(server: Server, tmp_path: Path) -> None:
    picture, sound = tmp_path / "secret.png", tmp_path / "secret.wav"
    picture.write_bytes(PNG)
    sound.write_bytes(WAV)
    for model, field, path in ((IMAGE, "picture", picture), (AUDIO, "sound", sound)):
        own = saved(server, model)["id"]
        body, kind = multipart(part(str(path).encode(), field), part(own.encode(), "model"))
        problem_of(ask(server, "POST", "/predict", content=body, headers={"Content-Type": kind}), 415)
        problem_of(asked(server, model, [(str(path), b"")], field), 415)
        problem_of(ask(server, "POST", "/predict", json={"model": own, field: str(path)}), 422)
        for given in (str(path), [str(path)], {field: str(path)}, [{field: str(path)}]):
            problem_of(asked(server, model, [], input=json.dumps(given)), 422)
            problem_of(asked(server, model, [], inputs=json.dumps(given)), 422)


def test_elsewhere_a_picture_belongs_to_nothing(server: Server) -> None:
    body, kind = multipart(*(part(d, n, n) for n, d in CLASSIFIER.items()), part(PNG, "picture", "cat.png"))
    headers = {"Content-Type": kind, "Accept": "application/json"}
    report = ask(server, "POST", "/convert", content=body, headers=headers).json()
    assert report["warnings"] == ["cat.png: belongs to no model.json; left out"]


def test_broken_pictures_and_sounds_hurt_nobody(safe: Server) -> None:
    chance = random.Random(1)
    kinds = [(IMAGE, "picture", data) for data in (*PICTURES.values(), ANIMATED)] + [(AUDIO, "sound", WAV)]
    for _ in range(120):
        model, field, data = chance.choice(kinds)
        changed = bytearray(data)
        for _ in range(chance.choice([1, 3, 20])):
            changed[chance.randrange(min(len(changed), chance.choice([60, 600, 10**6])))] = chance.choice([0, 1, 255])
        response = asked(safe, model, [("odd", bytes(changed))], field)
        assert response.status_code == 200 or problem_of(response, 413, 415, 422)


def test_the_limits_are_told(fort: Server, server: Server) -> None:
    for one, limits in ((fort, (1_000_000, 200_000)), (server, (1 << 24, 16 << 20))):
        found = get(one, "/formats").json()["limits"]
        assert (found["max_pixels"], found["max_sound"]) == limits


def test_without_pillow_the_server_says_so(tmp_path: Path) -> None:
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL/__init__.py").write_text("raise ModuleNotFoundError('PIL')")
    with serving(env={"PYTHONPATH": str(tmp_path)}) as bare:
        problem = problem_of(asked(bare, IMAGE, [("cat.png", PNG)]), 422)
        assert "pip install pillow" in problem["what_to_do"]
        assert results(asked(bare, AUDIO, [("clap.wav", WAV)], "sound"))
