"""The spectrogram that a browser makes of sound, in numpy: what Teachable Machine's audio models see.

speech-commands listens through an AnalyserNode: 2048 samples at a time under a Blackman window, the magnitudes of their
Fourier transform divided by 2048, in decibels, the lowest 232 of 1024 bins, every 1024 samples; 43 of them make a
second at 44 100 Hz, which is then shifted and scaled to mean 0 and deviation 1.
Sources: speech-commands/src/browser_fft_extractor.ts and browser_fft_utils.ts of tfjs-models; the Web Audio API, 1.8.6.
"""

from __future__ import annotations

import os
import wave
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import FilesError, MismatchError

Floats = npt.NDArray[np.float32]

RATE: Final = 44_100
HOP: Final = 1024
WINDOW: Final = 2 * HOP
_EPSILON: Final = 1e-7  # tf.js' backend().epsilon()
_WIDTHS: Final = {1: "u1", 2: "<i2", 4: "<i4"}


def spectrogram(sound: Any, frames: int = 43, bins: int = 232) -> Floats:
    """What the browser's analyser gives for a recording, in decibels, before normalisation.

    Args:
        sound: path of a .wav of 44 100 Hz (8, 16, 24 or 32 bit integers; channels are averaged), or float samples
            between -1 and 1, [n].
        frames: how many; each wants 1024 samples more. What the recording has beyond them is not looked at.
        bins: how many of the 1024, from the lowest.

    Returns:
        float32 [frames, bins]. Frames without any sound at all are left out, as in the browser.

    Differences to Chromium's AnalyserNode, measured (tests/test_teachable_browser.py): noise 0.0001 dB; a tone over
    faint noise and a sweep in 16 bit below 0.01 dB where a bin is within 90 dB of the loudest one of its frame. Below
    that float32 arithmetic itself ends: bins of a pure tone that should be silent are up to tens of dB off. A live
    microphone adds what no file has: its own moments of sampling.

    Raises:
        FilesError: no .wav, or one in another format. MismatchError: another rate, or too short.

    Example:
        >>> tone = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100).astype(np.float32)
        >>> int(spectrogram(tone)[20].argmax())  # bin 20 is around 431 Hz
        20
    """
    samples = _samples(sound)
    if samples.dtype.kind != "f" or samples.ndim != 1:
        raise MismatchError("sound", f"a path or float samples [n] expected, found {samples.dtype} {samples.shape}")
    padded = np.concatenate([np.zeros(WINDOW - HOP), samples])
    starts = np.arange(0, len(samples) - HOP + 1, HOP)
    if not len(starts):
        raise _too_short(len(samples), frames)
    pieces = padded[starts[:, None] + np.arange(WINDOW)]
    heard = pieces.any(axis=1)
    if heard.sum() < frames:
        raise _too_short(len(samples), frames, int((~heard).sum()))
    magnitudes = np.abs(np.fft.rfft(pieces[heard][:frames] * _blackman(), axis=1))[:, :bins] / WINDOW
    made: Floats = (20 * np.log10(np.maximum(magnitudes, np.finfo(np.float32).tiny))).astype(np.float32)
    return made


def normalized(spectrograms: npt.NDArray[Any]) -> Floats:
    """Each spectrogram [n, frames, bins, 1] with mean 0 and deviation 1, as speech-commands does."""
    values = spectrograms.astype(np.float64)
    axes = tuple(range(1, values.ndim))
    centred = values - values.mean(axis=axes, keepdims=True)
    made: Floats = (centred / (np.sqrt((centred**2).mean(axis=axes, keepdims=True)) + _EPSILON)).astype(np.float32)
    return made


def _blackman() -> npt.NDArray[np.float64]:
    at = 2 * np.pi * np.arange(WINDOW) / WINDOW
    return 0.42 - 0.5 * np.cos(at) + 0.08 * np.cos(2 * at)


def _samples(sound: Any) -> npt.NDArray[Any]:
    return _read(sound) if isinstance(sound, (str, os.PathLike)) else np.asarray(sound)


def _read(path: str | os.PathLike[str]) -> npt.NDArray[np.float64]:
    """The samples of a .wav, between -1 and 1, its channels averaged."""
    where = os.fspath(path)
    try:
        with wave.open(where, "rb") as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (OSError, wave.Error, EOFError, ValueError) as error:
        raise FilesError(where, f"a .wav of integer samples expected, found: {error}") from None
    if rate != RATE:
        raise MismatchError(where, f"{RATE} Hz expected, found {rate}; ffmpeg -i IN.wav -ar {RATE} OUT.wav converts it")
    if width == 3:
        triples = np.frombuffer(data[: len(data) // 3 * 3], np.uint8).reshape(-1, 3)
        wide = np.zeros((len(triples), 4), np.uint8)
        wide[:, 1:] = triples
        data, width = wide.tobytes(), 4
    numbers = np.frombuffer(data[: len(data) // width * width], _WIDTHS[width]).astype(np.float64)
    values = (numbers - 128) / 128 if width == 1 else numbers / float(1 << (8 * width - 1))
    made: npt.NDArray[np.float64] = values[: len(values) // channels * channels].reshape(-1, channels).mean(axis=1)
    return made


def _too_short(samples: int, frames: int, silent: int = 0) -> MismatchError:
    found = f"found {samples}" + (f", of which {silent} x {HOP} are silent" if silent else "")
    return MismatchError(
        "sound", f"at least {frames * HOP} samples ({frames * HOP / RATE:.2f} s at {RATE} Hz) expected, {found}"
    )
