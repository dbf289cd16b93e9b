""".wav files byte by byte, and noise to put into them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

GUID = bytes.fromhex("000000001000800000aa00389b71")


def noise(count: int, channels: int = 1, seed: int = 1) -> Any:
    """float64 [count, channels] from -0.5 to 0.5."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (count, channels))


def stored(samples: Any, kind: str) -> bytes:
    """Samples from -1 to 1 as u1, i2, i3, i4, f4 or f8."""
    if kind[0] == "f":
        return np.asarray(samples).astype(f"<{kind}").tobytes()
    half = 1 << (8 * int(kind[1]) - 1)
    whole = np.round(np.asarray(samples) * (half - 1)).astype(np.int64) + (half if kind == "u1" else 0)
    return whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, : int(kind[1])].tobytes()


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """One chunk of a RIFF file, padded; `size` is what it says of itself."""
    said = len(content) if size is None else size
    return name + struct.pack("<I", said) + content + bytes(len(content) % 2)


def fmt(kind: str = "i2", rate: int = 44_100, channels: int = 1, extensible: bool = False, **odd: int) -> bytes:
    """The chunk that tells the format. `odd`: tag, channels, rate, frame or bits other than right."""
    width = int(kind[1])
    tag = 3 if kind[0] == "f" else 1
    right = {"tag": tag, "channels": channels, "rate": rate, "frame": width * channels, "bits": 8 * width, **odd}
    tag, channels, rate, frame, bits = right.values()
    short = struct.pack("<HIIHH", channels, rate, rate * frame & 0xFFFFFFFF, frame, bits)
    if not extensible:
        return chunk(b"fmt ", struct.pack("<H", tag) + short)
    return chunk(b"fmt ", struct.pack("<H", 0xFFFE) + short + struct.pack("<HHIH", 22, bits, 0, tag) + GUID)


def riff(*chunks: bytes) -> bytes:
    """A .wav of these chunks."""
    content = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def wav(samples: Any, rate: int = 44_100, kind: str = "i2", extensible: bool = False) -> bytes:
    """A .wav of samples [count, channels] from -1 to 1."""
    return riff(fmt(kind, rate, samples.shape[1], extensible), chunk(b"data", stored(samples, kind)))


_SAMPLES = stored(noise(100), "i2")
_FMT, _DATA = fmt(), chunk(b"data", _SAMPLES)
# What recorders and careless programs leave behind, and what no browser takes.
ODD = {
    "cut off in its samples": riff(_FMT, _DATA)[:-51],
    "a recorder that did not end": riff(_FMT, chunk(b"data", _SAMPLES, 0)),
    "one that streams": riff(_FMT, chunk(b"data", _SAMPLES, 0xFFFFFFFF)),
    "an odd length": riff(_FMT, chunk(b"data", _SAMPLES, 99)),
    "a list in between": riff(chunk(b"JUNK", bytes(28)), _FMT, chunk(b"LIST", b"abcde"), _DATA),
    "a list behind": riff(_FMT, _DATA, chunk(b"LIST", b"abcd")),
    "samples first": riff(_DATA, _FMT),
    "two formats": riff(_FMT, fmt(rate=8000), _DATA),
    "samples twice": riff(_FMT, _DATA, chunk(b"data", _SAMPLES[:50])),
    "samples twice, first": riff(_DATA, chunk(b"data", _SAMPLES[:50]), _FMT),
    "nothing behind the samples": riff(_FMT, _DATA, chunk(b"data", b"")),
    "a broken list behind": riff(_FMT, _DATA, chunk(b"LIST", b"abcd", 0x7FFFFFFF), chunk(b"data", _SAMPLES[:50])),
    "12 bits": riff(fmt(bits=12), _DATA),
    "extensible": riff(fmt(extensible=True), _DATA),
    "a length of 0 for all": b"RIFF" + bytes(4) + riff(_FMT, _DATA)[8:],
    "3000 Hz": riff(fmt(rate=3000), _DATA),
    "768 000 Hz": riff(fmt(rate=768_000), _DATA),
    "2999 Hz": riff(fmt(rate=2999), _DATA),
    "768 001 Hz": riff(fmt(rate=768_001), _DATA),
    "32 channels": riff(fmt(channels=32), _DATA),
    "33 channels": riff(fmt(channels=33), _DATA),
    "no samples": riff(_FMT, chunk(b"data", b"")),
    "no format": riff(_DATA),
    "no padding": riff(_FMT, b"LIST\5\0\0\0abcde", _DATA),
    "big-endian": b"RIFX" + riff(_FMT, _DATA)[4:],
    "half floats": riff(fmt("f4", bits=16), _DATA),
    "no bits": riff(fmt(bits=0), _DATA),
}
