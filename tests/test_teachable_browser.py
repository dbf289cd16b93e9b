"""Pictures and sound as a real Chromium prepares them, beside ours: how far apart, in grey levels and decibels."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml5_browser import REPOSITORY, open_chromium, require_ml5, serve
from PIL import Image
from sounds import ODD, wav
from sounds import noise as sound_noise

from tfjs_torch import TfjsTorchError
from tfjs_torch.teachable.analyser import normalized, spectrogram
from tfjs_torch.teachable.canvas import cropped
from tfjs_torch.teachable.pictures import prepared
from tfjs_torch.teachable.recordings import sound_of

SECOND = 44_100
TIMES = np.arange(SECOND) / SECOND


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    require_ml5()
    with serve(REPOSITORY) as address, open_chromium() as chromium:
        page = chromium.new_page()
        page.goto(f"{address}/tests/browser/ml5_loader.html")
        page.add_script_tag(path=Path(__file__).parent / "browser/teachable_page.js")
        yield page


def noise(height: int, width: int, channels: int = 3) -> Any:
    return np.random.default_rng(height * 5000 + width).integers(0, 256, (height, width, channels), np.uint8)


def photo(height: int, width: int) -> Any:
    """Waves and a gradient with the noise of a camera."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 100 * np.sin(x / 17 + y / 31), 127 + 100 * np.cos(x / 5 - y / 7), 255 * (x + y) / (height + width)]
    grain = np.random.default_rng(height).normal(0, 8, (height, width, 3))
    return (np.stack(waves, -1) + grain).clip(0, 255).astype(np.uint8)


def checker(height: int, width: int) -> Any:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([((x // 2 + y // 2) % 2 * 255)] * 3, -1).astype(np.uint8)


def encoded(pixels: Any, kind: str = "PNG", **options: Any) -> tuple[str, bytes]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    data = stream.getvalue()
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}", data


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(answer: str, dtype: Any = np.uint8) -> Any:
    return np.frombuffer(base64.b64decode(answer), dtype)


def in_chromium(page: Any, source: str, size: int) -> Any:
    return decoded(page.evaluate("croppedPixels", [source, size])).reshape(size, size, 4)[..., :3]


def apart(ours: Any, theirs: Any) -> Any:
    return np.abs(ours.astype(int) - theirs.astype(int))


PICTURES = {
    "photo 640 x 480": (photo(480, 640), 224),
    "photo 1920 x 1080": (photo(1080, 1920), 224),
    "photo 4:3 of odd sides": (photo(1001, 1335), 224),
    "checker, shrunk to a fifth": (checker(500, 700), 96),
    "checker, shrunk to a half": (checker(448, 448), 224),
    "noise of the very size": (noise(224, 224), 224),
    "noise, a pixel wider": (noise(224, 225), 224),
    "noise, shrunk by a little": (noise(227, 225), 224),
    "noise, tall": (noise(1000, 333), 224),
    "noise, even and odd sides": (noise(710, 509), 96),
    "noise, shrunk to an eighth": (noise(901, 777), 96),
    "noise, enlarged": (noise(60, 100), 224),
    "noise, narrow and enlarged": (noise(85, 12), 224),
    "a few pixels": (noise(3, 5), 224),
    "one pixel": (noise(1, 1), 96),
    "half transparent": (noise(300, 200, 4), 224),
    "half transparent and shrunk": (noise(960, 640, 4), 224),
}


@pytest.mark.parametrize("name", PICTURES)
def test_cropping_is_chromiums_within_one_grey_level(page: Any, name: str) -> None:
    pixels, size = PICTURES[name]
    difference = apart(cropped(pixels, size), in_chromium(page, encoded(pixels)[0], size))
    assert difference.max() <= 1
    assert difference.mean() < 0.02


def test_random_sizes_are_cropped_as_chromium_does(page: Any) -> None:
    random = np.random.default_rng(11)
    for _ in range(20):
        height, width = (int(side) for side in np.exp(random.uniform(1, 7, 2)))
        width = min(max(width, height // 8), height * 8)
        pixels, size = noise(height, width), int(random.choice([96, 224]))
        assert apart(cropped(pixels, size), in_chromium(page, encoded(pixels)[0], size)).max() <= 1, (
            height,
            width,
            size,
        )


def test_transparent_pictures_lie_on_black(page: Any) -> None:
    pixels = noise(50, 60, 4)
    pixels[..., 3] = 0
    assert in_chromium(page, encoded(pixels)[0], 96).max() == cropped(pixels, 96).max() == 0


def test_shrunk_transparent_pictures_of_odd_sides_are_a_little_off(page: Any) -> None:
    """Not met: how Chromium rounds where alpha, odd sides and shrinking to less than a half come together."""
    pixels = noise(701, 500, 4)
    difference = apart(cropped(pixels, 224), in_chromium(page, encoded(pixels)[0], 224))
    assert difference.max() <= 10
    assert (difference > 1).mean() < 0.01


SIZES = [(480, 640), (501, 667), (960, 1280), (3024, 4032), (200, 200)]
TURNED = [(*size, orientation) for size in SIZES for orientation in (1, 6)] + [(480, 640, at) for at in (2, 3, 7)]


@pytest.mark.parametrize(("height", "width", "orientation"), TURNED)
def test_jpeg_files_are_decoded_and_turned_as_in_chromium(
    page: Any, tmp_path: Path, height: int, width: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source, data = encoded(photo(height, width), "JPEG", quality=90, exif=exif)
    (tmp_path / "photo.jpg").write_bytes(data)
    ours = (prepared(tmp_path / "photo.jpg", 224, False, "teachable") + 1) * 127
    difference = apart(np.round(ours), in_chromium(page, source, 224))
    # Mirrored pictures (2, 3) meet Chromium's rounding everywhere but where positions fall between two sixteenths.
    assert difference.max() <= (1 if orientation in (1, 6, 7) else 10)
    assert (difference > 1).mean() < 0.02


@pytest.mark.parametrize(
    "pixels", [photo(480, 640), noise(100, 37), noise(90, 120, 4)], ids=["photo", "small", "alpha"]
)
def test_squashing_is_ml5s(page: Any, pixels: Any) -> None:
    theirs = decoded(page.evaluate("squashedNumbers", [encoded(pixels)[0]]), np.float32).reshape(224, 224, 3)
    levels = 127 * np.abs(prepared(pixels, 224, False, "ml5") - theirs)
    assert levels.max() < (1e-4 if pixels.shape[2] == 3 else 1.01)


SOUNDS = {
    "noise": np.random.default_rng(1).normal(0, 0.1, SECOND),
    "tone over noise": 0.3 * np.sin(2 * np.pi * 440 * TIMES) + np.random.default_rng(2).normal(0, 1e-3, SECOND),
    "sweep in 16 bit": np.round(16000 * np.sin(2 * np.pi * (200 + 1500 * TIMES) * TIMES)) / 32768,
}

RATES = [48_000, 22_050, 16_000, 96_000, 8000, 44_100]
# Chromium's own way to one channel, 5.1 included, and of 3 the first.
KINDS = [
    (44_100, 1, "u1"),
    (48_000, 2, "i2"),
    (16_000, 1, "i3"),
    (96_000, 3, "i4"),
    (32_000, 4, "f4"),
    (22_050, 6, "i2"),
]


@pytest.mark.parametrize("name", SOUNDS)
def test_spectrograms_are_chromiums_where_float32_can_tell(page: Any, name: str) -> None:
    sound = SOUNDS[name].astype(np.float32)
    assert_heard_alike(spectrogram(sound), page.evaluate("heard", [in_base64(sound.tobytes()), 43, 232]))


def assert_heard_alike(ours: Any, answer: str) -> None:
    theirs = decoded(answer, np.float32).reshape(43, 232)
    loud = ours > ours.max(axis=1, keepdims=True) - 90
    assert np.abs(ours - theirs)[loud].max() < 0.01
    scaled = np.abs(normalized(ours[None]) - normalized(theirs[None]))
    assert scaled.mean() < 0.001
    assert scaled.max() < 0.5


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_other_rates_become_the_samples_that_chromium_makes(
    page: Any, tmp_path: Path, rate: int, channels: int
) -> None:
    data = wav(sound_noise(2 * rate, channels), rate, "f4")
    (tmp_path / "noise.wav").write_bytes(data)
    theirs = np.mean([decoded(each, np.float32) for each in page.evaluate("decodedChannels", [in_base64(data)])], 0)
    ours = sound_of(tmp_path / "noise.wav")
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs).max() < 4e-7  # 0 for one channel where Chromium's processor has AVX2 and FMA


@pytest.mark.parametrize(("rate", "channels", "kind"), KINDS)
def test_files_sound_as_in_chromium(page: Any, tmp_path: Path, rate: int, channels: int, kind: str) -> None:
    data = wav(sound_noise(rate * 11 // 10, channels), rate, kind)
    (tmp_path / "noise.wav").write_bytes(data)
    assert_heard_alike(spectrogram(tmp_path / "noise.wav"), page.evaluate("heardFile", [in_base64(data), 43, 232]))


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_read_or_refused_as_in_chromium(page: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "odd.wav").write_bytes(ODD[name])
    channels = page.evaluate("decodedChannels", [in_base64(ODD[name])])
    if channels is None:
        with pytest.raises(TfjsTorchError, match="expected, found"):
            sound_of(tmp_path / "odd.wav")
    else:
        theirs = decoded(channels[0], np.float32)
        np.testing.assert_allclose(sound_of(tmp_path / "odd.wav"), theirs, atol=4e-7)
