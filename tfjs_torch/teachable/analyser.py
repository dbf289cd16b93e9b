"""The spectrogram that a browser makes of sound, in numpy: what Teachable Machine's audio models see.

speech-commands listens through an AnalyserNode: 2048 samples at a time under a Blackman window, the magnitudes of their
Fourier transform divided by 2048, in decibels, the lowest 232 of 1024 bins, every 1024 samples; 43 of them make a
second at 44 100 Hz, which is then shifted and scaled to mean 0 and deviation 1.
Sources: speech-commands/src/browser_fft_extractor.ts and browser_fft_utils.ts of tfjs-models; the Web Audio API, 1.8.6.
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import MismatchError
from .recordings import sound_of
from .resampling import RATE, Floats

HOP: Final = 1024
WINDOW: Final = 2 * HOP
_EPSILON: Final = 1e-7  # tf.js' backend().epsilon()


def spectrogram(sound: Any, frames: int = 43, bins: int = 232) -> Floats:
    """What the browser's analyser gives for a recording, in decibels, before normalisation.

    Args:
        sound: path of a .wav of 3000 to 768 000 Hz, integers or floats (its channels are mixed, it is resampled as by a
            browser, and of long ones the first minute is read), or float samples of 44 100 Hz from -1 to 1, [n].
        frames: how many; each wants 1024 samples more. What the recording has beyond them is not looked at.
        bins: how many of the 1024, from the lowest.

    Returns:
        float32 [frames, bins]. Frames without any sound at all are left out, as in the browser.

    Differences to Chromium's AnalyserNode, measured (tests/test_teachable_browser.py): noise 0.0001 dB; a tone over
    faint noise and a sweep in 16 bit below 0.01 dB where a bin is within 90 dB of the loudest one of its frame. Below
    that float32 arithmetic itself ends: bins of a pure tone that should be silent are up to tens of dB off. A live
    microphone adds what no file has: its own moments of sampling.

    Raises:
        FilesError: no .wav, or a broken one. UnsupportedError: compressed samples. MismatchError: samples that a
            browser does not take, or too few.

    Example:
        >>> tone = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100).astype(np.float32)
        >>> int(spectrogram(tone)[20].argmax())  # bin 20 is around 431 Hz
        20
    """
    samples = _beginning(sound, frames) if isinstance(sound, (str, os.PathLike)) else np.asarray(sound)
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


def _beginning(path: str | os.PathLike[str], frames: int) -> Floats:
    """As much of a .wav as the frames want; where some of that is silent, all that can be read."""
    wanted = frames * HOP
    samples = sound_of(path, wanted // RATE + 2)  # what is cut off is heard in the samples before, but not a second
    enough = len(samples) > wanted and samples[:wanted].reshape(frames, HOP).any(axis=1).all()
    return samples if enough else sound_of(path)


def _too_short(samples: int, frames: int, silent: int = 0) -> MismatchError:
    found = f"found {samples}" + (f", of which {silent} x {HOP} are silent" if silent else "")
    return MismatchError(
        "sound", f"at least {frames * HOP} samples ({frames * HOP / RATE:.2f} s at {RATE} Hz) expected, {found}"
    )
