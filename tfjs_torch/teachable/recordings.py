"""Sound in .wav files -> the samples that a browser hears: one channel at 44 100 Hz.

A file may have any rate from 3000 to 768 000 Hz, up to 32 channels (Chromium's own limits), integers of 8, 16, 24 or
32 bits or floats of 32 or 64, with the short header or WAVE_FORMAT_EXTENSIBLE. Chunks that are not known are skipped,
a file that was cut off in its samples is read as far as it goes, and lengths that lie are not believed: all as Chromium
does. (It refuses floats of 64 bits, and extensible 32 bits of which fewer count; they are read here.)
Differences to Chromium 156, measured (tests/test_teachable_browser.py): none at 44 100 Hz and in mono of other rates,
to the bit (on which processors, see resampling). Where several channels are resampled, 1.2e-7 for noise of amplitude
0.5, as they are mixed before and not after; a spectrogram does not show it.
Sources: Microsoft's "Multiple channel audio data and WAVE files"; the Web Audio API, 4.5 (mixing down to one channel).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from ..errors import FilesError, MismatchError, TfjsTorchError, UnsupportedError
from .resampling import RATE, Floats, resampled

SECONDS: Final = 60
_CHANNELS: Final = 32
_SLOWEST, _FASTEST = 3000, 768_000
_LOUDEST: Final = 1e6
_CHUNKS: Final = 1000
_AT_ONCE: Final = 1 << 15
_INTEGERS, _FLOATS, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBFORMAT: Final = bytes.fromhex("000000001000800000aa00389b71")  # a GUID behind the two bytes of the format
_WEIGHTS: Final[Mapping[int, Sequence[float]]] = {
    2: [0.5] * 2,
    4: [0.25] * 4,
    6: [0.5**0.5, 0.5**0.5, 1, 0, 0.5, 0.5],
}
_HINT: Final = "`ffmpeg -i IN -c:a pcm_s16le OUT.wav` converts it"


class _Format(NamedTuple):
    channels: int
    rate: int
    width: int  # bytes of a sample
    floats: bool

    @property
    def frame(self) -> int:
        return self.channels * self.width


def sound_of(path: str | os.PathLike[str], seconds: int = SECONDS) -> Floats:
    """The beginning of a .wav as the browser's analyser hears it, float32 [n] at 44 100 Hz.

    Integers become numbers from -1 to 1. Channels are mixed: 2 and 4 are averaged, 6 weighed as 5.1, of others the
    first one is taken. More than the first minute is never read.

    Raises:
        FilesError: no .wav there, or a broken one. UnsupportedError: its samples are compressed.
        MismatchError: too many channels, a rate out of range, or samples that are no numbers.

    Example:
        >>> import tempfile, wave
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with wave.open(f"{folder}/silence.wav", "wb") as file:
        ...         file.setparams((2, 2, 48_000, 0, "NONE", ""))
        ...         file.writeframes(bytes(4 * 48_000))
        ...     sound_of(f"{folder}/silence.wav").shape
        (44099,)
    """
    where = os.fspath(path)
    try:
        with open(where, "rb") as file:
            form, size = _opened(file, where)
            mono = _mono(file, where, form, min(size // form.frame, min(seconds, SECONDS) * form.rate))
    except TfjsTorchError:
        raise
    except (OSError, ValueError) as error:
        raise FilesError(where, f"a .wav expected, found: {error}") from None
    return resampled(mono, form.rate)


def _opened(file: BinaryIO, where: str) -> tuple[_Format, int]:
    """The format, and how many bytes of samples are said to follow; the file then stands before them."""
    start = file.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        raise FilesError(where, f"a .wav (RIFF, WAVE) expected, found one that begins with {start!r}; {_HINT}")
    form = data = None
    for _ in range(_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        name, size, at = head[:4], int.from_bytes(head[4:], "little"), file.tell()
        if name == b"fmt " and form is None:
            form = _format(file.read(min(size, 40)), where)
        if name == b"data":  # the last one counts, as in Chromium
            data = at, size or 1 << 32
            if not size:  # whoever wrote it did not come back to say how many
                break
        file.seek(at + size + size % 2)
    if form is None or data is None:
        raise FilesError(where, f"a chunk {'data' if form else 'fmt'} expected, found none: broken or cut off; {_HINT}")
    file.seek(data[0])
    return form, data[1]


def _format(chunk: bytes, where: str) -> _Format:
    if len(chunk) < 16:
        raise FilesError(where, f"16 bytes in its chunk fmt expected, found {len(chunk)}; {_HINT}")
    tag, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and chunk[26:] == _SUBFORMAT:
        tag = int.from_bytes(chunk[24:26], "little")
    if tag not in (_INTEGERS, _FLOATS):
        raise UnsupportedError(where, f"samples as integers or floats expected, found the format {tag:#06x}; {_HINT}")
    width, floats = (bits + 7) // 8, tag == _FLOATS
    if bits not in (32, 64) if floats else width not in (1, 2, 3, 4):
        wanted = "floats of 32 or 64" if floats else "integers of 8, 16, 24 or 32"
        raise UnsupportedError(where, f"{wanted} bits expected, found {bits}; {_HINT}")
    if not 1 <= channels <= _CHANNELS:
        raise MismatchError(where, f"1 to {_CHANNELS} channels expected, found {channels}; record it in mono")
    if not _SLOWEST <= rate <= _FASTEST:
        raise MismatchError(
            where, f"{_SLOWEST} to {_FASTEST} Hz expected, found {rate}; `ffmpeg -i IN -ar {RATE} OUT.wav` converts it"
        )
    if frame != channels * width:
        raise FilesError(where, f"{channels} x {width} bytes at a time expected, found {frame}; {_HINT}")
    return _Format(channels, rate, width, floats)


def _mono(file: BinaryIO, where: str, form: _Format, left: int) -> Floats:
    """Read a piece at a time, so that a file takes no more memory than a minute of one channel."""
    weights = np.array(_WEIGHTS.get(form.channels, [1.0] + [0.0] * (form.channels - 1)))
    pieces = []
    while left:
        data = file.read(min(left, _AT_ONCE) * form.frame)
        count = len(data) // form.frame
        if not count:
            break
        numbers = _numbers(data[: count * form.frame], form, where).reshape(count, form.channels)
        pieces.append((numbers @ weights).astype(np.float32))
        left -= count
    if not pieces:
        raise FilesError(where, "samples expected, found none; record it again")
    return np.concatenate(pieces)


def _numbers(data: bytes, form: _Format, where: str) -> Floats:
    """float32. Where integers have 8 or 16 bits, Chromium scales the positive ones a little more: 127 is 1, as -128."""
    if form.floats:
        numbers = np.frombuffer(data, f"<f{form.width}")
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(numbers) <= _LOUDEST)
        if wrong.any():
            found = numbers[wrong][0]
            raise MismatchError(where, f"samples from -1 to 1 expected, found {found}; record or export it again")
        return numbers.astype(np.float32)
    if form.width > 2:
        wide = np.zeros((len(data) // form.width, 4), np.uint8)
        wide[:, 4 - form.width :] = np.frombuffer(data, np.uint8).reshape(-1, form.width)
        return wide.view("<i4").ravel().astype(np.float32) * np.float32(2.0**-31)
    whole = np.frombuffer(data, "<i2" if form.width == 2 else "u1").astype(np.float32)
    half = 1 << (8 * form.width - 1)
    centred = whole if form.width == 2 else whole - np.float32(half)
    return centred * np.where(centred < 0, np.float32(1 / half), np.float32(1 / (half - 1)))
