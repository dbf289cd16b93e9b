"""Sound files: the samples that Chromium decodes from them, and what is refused."""

from __future__ import annotations

import base64
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judges import CASES
from sounds import GUID, ODD, chunk, fmt, noise, riff, stored, wav

from tfjs_torch import TfjsTorchError, teachable
from tfjs_torch.errors import FilesError, MismatchError, UnsupportedError
from tfjs_torch.teachable.analyser import spectrogram
from tfjs_torch.teachable.recordings import sound_of

GOLDEN = CASES / "teachable/recordings"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
DECODED, ODDLY = EXPECTED["channels"], EXPECTED["odd"]
DATA = chunk(b"data", stored(noise(100), "i2"))


def read(folder: Path, data: bytes) -> Any:
    (folder / "sound.wav").write_bytes(data)
    return sound_of(folder / "sound.wav")


def floats(text: str) -> Any:
    return np.frombuffer(base64.b64decode(text), "<f4")


def decoded(name: str) -> Any:
    return np.stack([floats(channel) for channel in DECODED[name]])


@pytest.mark.parametrize("name", [name for name, channels in DECODED.items() if len(channels) == 1])
def test_samples_are_chromiums_to_the_bit(name: str) -> None:
    np.testing.assert_array_equal(sound_of(GOLDEN / f"{name}.wav"), decoded(name)[0])


@pytest.mark.parametrize("name", [name for name, channels in DECODED.items() if len(channels) == 2])
def test_two_channels_are_averaged(name: str) -> None:
    np.testing.assert_allclose(sound_of(GOLDEN / f"{name}.wav"), decoded(name).mean(axis=0), atol=1.5e-7)


def test_surround_sound_is_mixed_as_the_specification_says() -> None:
    left, right, center, _, left_behind, right_behind = decoded("44100-surround").astype(np.float64)
    mixed = np.sqrt(0.5) * (left + right) + center + 0.5 * (left_behind + right_behind)
    np.testing.assert_allclose(sound_of(GOLDEN / "44100-surround.wav"), mixed, atol=1e-7)


@pytest.mark.parametrize("name", [name for name, samples in ODDLY.items() if samples])
def test_odd_files_that_chromium_reads_are_read(name: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, ODD[name]), floats(ODDLY[name][0]))


@pytest.mark.parametrize("name", [name for name, samples in ODDLY.items() if not samples])
def test_odd_files_that_chromium_refuses_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TfjsTorchError, match="expected, found"):
        read(tmp_path, ODD[name])


def test_floats_of_64_bits_are_read(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, wav(noise(99), kind="f8")), noise(99)[:, 0].astype(np.float32))


def test_recordings_of_other_rates_are_classified(tmp_path: Path) -> None:
    model = teachable.load(CASES / "teachable/audio")
    (tmp_path / "clap.wav").write_bytes(wav(noise(48_000, 2), 48_000, "f4"))
    assert [row["label"] for row in model.classify(tmp_path / "clap.wav")]


def test_of_long_recordings_the_first_minute_is_read_in_little_memory(tmp_path: Path) -> None:
    with open(tmp_path / "long.wav", "wb") as file:
        file.write(riff(fmt(channels=2), chunk(b"data", b"", 0xFFFFFFFF)))
        file.truncate(3 << 30)
    tracemalloc.start()
    try:
        assert len(sound_of(tmp_path / "long.wav")) == 60 * 44_100
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_sound_after_silence_is_found(tmp_path: Path) -> None:
    sound = np.concatenate([np.zeros((250_000, 1)), noise(70_000)])
    (tmp_path / "late.wav").write_bytes(wav(sound, 48_000))
    np.testing.assert_array_equal(spectrogram(tmp_path / "late.wav"), spectrogram(sound_of(tmp_path / "late.wav")))


def test_what_comes_behind_the_frames_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "long.wav").write_bytes(wav(noise(300_000), 48_000))
    np.testing.assert_array_equal(spectrogram(tmp_path / "long.wav"), spectrogram(sound_of(tmp_path / "long.wav")))


def test_silence_is_told(tmp_path: Path) -> None:
    (tmp_path / "silence.wav").write_bytes(wav(np.zeros((60_000, 1)), 48_000))
    with pytest.raises(MismatchError, match="silent"):
        spectrogram(tmp_path / "silence.wav")


REFUSED = {
    "nothing": (b"", FilesError, "begins with b''"),
    "an mp3": (b"ID3\x04" + bytes(40), FilesError, "RIFF, WAVE.*ffmpeg"),
    "big-endian": (b"RIFX" + wav(noise(9))[4:], FilesError, "RIFF, WAVE"),
    "cut off in its header": (wav(noise(9))[:30], FilesError, "16 bytes in its chunk fmt"),
    "no format": (riff(DATA), FilesError, "a chunk fmt expected"),
    "no samples": (riff(fmt()), FilesError, "a chunk data expected"),
    "an empty data": (riff(fmt(), chunk(b"data", b"")), FilesError, "samples expected, found none"),
    "half a sample": (riff(fmt(), chunk(b"data", b"", 1)) + b"\1", FilesError, "samples expected, found none"),
    "a chunk of 2 GB before": (riff(chunk(b"LIST", b"abcd", 0x7FFFFFFF), fmt(), DATA), FilesError, "a chunk fmt"),
    "thousands of chunks": (riff(*[chunk(b"JUNK", b"")] * 2000, fmt(), DATA), FilesError, "a chunk fmt"),
    "A-law": (riff(fmt("u1", tag=6), DATA), UnsupportedError, "integers or floats expected, found the format 0x0006"),
    "no GUID": (riff(fmt(tag=0xFFFE), DATA), UnsupportedError, "0xfffe"),
    "another GUID": (wav(noise(9), extensible=True).replace(GUID, GUID[::-1]), UnsupportedError, "0xfffe"),
    "half floats": (riff(fmt("f4", bits=16), DATA), UnsupportedError, "floats of 32 or 64 bits expected, found 16"),
    "no bits": (riff(fmt(bits=0), DATA), UnsupportedError, "found 0"),
    "integers of 64 bits": (riff(fmt(bits=64), DATA), UnsupportedError, "found 64"),
    "no channels": (riff(fmt(channels=0), DATA), MismatchError, "1 to 32 channels expected, found 0"),
    "33 channels": (riff(fmt(channels=33), DATA), MismatchError, "found 33"),
    "65535 channels": (riff(fmt(channels=65535, frame=2), DATA), MismatchError, "found 65535"),
    "no rate": (riff(fmt(rate=0), DATA), MismatchError, "3000 to 768000 Hz expected, found 0"),
    "2999 Hz": (riff(fmt(rate=2999), DATA), MismatchError, "found 2999"),
    "4 GHz": (riff(fmt(rate=2**32 - 1), DATA), MismatchError, "found 4294967295.*-ar 44100"),
    "24 bits in 4 bytes": (riff(fmt("i3", frame=4), DATA), FilesError, "1 x 3 bytes at a time expected, found 4"),
    "no numbers": (wav(np.full((9, 1), np.nan), kind="f4"), MismatchError, "from -1 to 1 expected, found nan"),
    "endless": (wav(np.full((9, 1), np.inf), kind="f8"), MismatchError, "found inf"),
    "far too loud": (wav(np.full((9, 1), -1e300), kind="f8"), MismatchError, r"found -1e\+300"),
    "signalling": (riff(fmt("f4"), chunk(b"data", b"\1\0\x80\x7f")), MismatchError, "found nan"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_broken_and_odd_files_are_refused(name: str, tmp_path: Path) -> None:
    data, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message) as caught:
        read(tmp_path, data)
    assert type(caught.value) is kind
    assert caught.value.where.endswith("sound.wav")


@pytest.mark.parametrize("path", [".", "no\0name.wav", "a" * 5000])
def test_what_is_no_file_is_told(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FilesError, match=r"a \.wav expected, found"):
        sound_of(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_spoilt_files_give_samples_or_errors_of_this_package(data: st.DataObject, tmp_path: Path) -> None:
    kind, extensible = data.draw(st.sampled_from(["u1", "i2", "i3", "i4", "f4", "f8"])), data.draw(st.booleans())
    spoilt = bytearray(wav(noise(30, 2), 48_000, kind, extensible))
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, 79))] = data.draw(st.integers(0, 255))
    try:
        found = read(tmp_path, bytes(spoilt[: data.draw(st.integers(0, len(spoilt)))]))
    except TfjsTorchError:
        return
    assert np.isfinite(found).all()
    assert len(found) <= 15 * 480
