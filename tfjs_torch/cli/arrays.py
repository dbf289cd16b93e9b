"""Arrays that users give: .npy and .npz files, read without pickle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..containers import read_container
from ..errors import FilesError, MismatchError


def read_inputs(paths: Sequence[str]) -> Any:
    """One .npy: its array. Several: a list, in the order of the model's inputs. One .npz: {input name: array}.

    Raises:
        FilesError: a file is missing, or holds anything but numbers. MismatchError: a .npz among others.
    """
    if len(paths) == 1 and paths[0].lower().endswith(".npz"):
        return {name: np.asarray(array) for name, array in read_container(paths[0]).items()}
    if any(path.lower().endswith(".npz") for path in paths):
        raise MismatchError("inputs", "one .npz with all inputs, or .npy files alone expected, found both")
    arrays = [_read_npy(Path(path)) for path in paths]
    return arrays[0] if len(arrays) == 1 else arrays


def _read_npy(path: Path) -> Any:
    if not path.is_file():
        raise FilesError(str(path), "a .npy or .npz file expected, found none; check the path")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header may claim more than the file has
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
    except MemoryError:
        raise
    except Exception as error:  # numpy parses the header as a Python literal: any error may come out of a broken one
        raise FilesError(str(path), f"a .npy of plain numbers expected, found: {error!s:.200}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise FilesError(str(path), f"a .npy of plain numbers expected, found {found}")
    return np.array(array)
