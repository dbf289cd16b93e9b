"""What became of a tensor: counted by plain numpy here, in pieces there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfjs_torch import conversion, errors, read_artifacts
from tfjs_torch.changes import change_of

CLASSIFIER = Path(__file__).resolve().parents[1] / "samples/ml5-classifier"
NAN, INF = float("nan"), float("inf")


def numbers(values: Any, dtype: Any = None) -> Any:
    """An array for change_of, which takes anything that numpy can read."""
    return np.asarray(values, dtype)


@pytest.mark.parametrize(
    ("before", "after", "changed", "largest"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0, 0.0),
        ([1.0, 2.0], [1.0, -2.0], 1, 4.0),
        ([0.0], [-0.0], 0, 0.0),
        ([NAN, 1.0], [NAN, 3.0], 1, 2.0),
        ([NAN], [1.0], 1, None),
        ([1.0, 5.0], [INF, 5.0], 1, None),
        ([INF], [INF], 0, 0.0),
        ([3e38], [-3e38], 1, 6e38),
        ([], [], 0, 0.0),
        ([1.0], [1.0, 2.0], None, None),
    ],
)
def test_differences_are_counted_and_the_largest_is_told(
    before: list[float], after: list[float], changed: int | None, largest: float | None
) -> None:
    change = change_of("w", numbers(before, np.float32), numbers(after, np.float32))
    assert change.changed == changed
    assert change.largest == (largest if largest is None else pytest.approx(largest))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "bool", "uint8"])
def test_numbers_are_those_of_numpy(dtype: str) -> None:
    random = np.random.default_rng(1)
    x, y = (numbers((random.normal(size=(1 << 20) + 37) * 5).astype(dtype), dtype) for _ in range(2))
    if dtype == "bool":
        x[:1000] = False
    change = change_of("w", x, y, bins=7)
    wide = [side.astype(np.float64) for side in (x, y)]
    low, high = min(side.min() for side in wide), max(side.max() for side in wide)
    assert change.range == (low, high)
    assert change.changed == (x != y).sum()
    for own, found in zip(wide, (change.before, change.after), strict=True):
        assert (found.min, found.max) == (own.min(), own.max())
        assert found.mean == pytest.approx(own.mean())
        assert found.std == pytest.approx(own.std())
        counts = np.bincount(np.minimum((own - low) * (7 / (high - low)), 6).astype(int), minlength=7)
        assert found.histogram == tuple(counts)


def test_numbers_that_are_none_are_counted_apart() -> None:
    after = change_of("w", numbers([0.0] * 4), numbers([NAN, INF, -INF, 2.0]), bins=2).after
    assert (after.nan, after.infinite, after.min, after.max) == (1, 2, 2.0, 2.0)
    assert sum(after.histogram or ()) == 1


def test_nothing_finite_has_no_range() -> None:
    change = change_of("w", numbers([NAN]), numbers([NAN]), bins=3)
    assert change.to_dict()["range"] is None
    assert change.to_dict()["before"]["min"] is None


def test_complex_numbers_count_by_magnitude() -> None:
    change = change_of("w", numbers([3 + 4j]), numbers([0j]), bins=2)
    assert (change.before.max, change.after.max, change.largest) == (5.0, 0.0, 5.0)


def test_strings_are_compared_as_they_are() -> None:
    change = change_of("w", numbers([b"a", b"b"], object), numbers(["a", "c"], object))
    assert (change.dtype, change.changed, change.before.min) == ("string", 1, None)


@pytest.mark.parametrize("bins", [0, 5])
def test_a_tensor_that_comes_in_pieces_is_described_alike(bins: int) -> None:
    for name, tensor in conversion.open_model(read_artifacts(CLASSIFIER)).items():
        array: Any = np.asarray(tensor)
        assert change_of(name, tensor, tensor, bins) == change_of(name, array, array, bins)


def test_collected_warnings_stay_with_their_task() -> None:
    with errors.collected_warnings() as outer, errors.collected_warnings() as inner:
        errors.warn("once")
        errors.warn("once")
    assert (outer, inner) == ([], ["once"])


def test_a_template_needs_no_weight_files(tmp_path: Path) -> None:
    template = read_artifacts({"model.json": (CLASSIFIER / "model.json").read_bytes()}, weights=False)
    with pytest.raises(errors.FilesError, match="expected beside the JSON"):
        read_artifacts({"model.json": (CLASSIFIER / "model.json").read_bytes()})
    assert template.shards == ()
    files = dict(conversion.model_files(conversion.open_model(read_artifacts(CLASSIFIER)), template))
    assert b"".join(files["./model.weights.bin"]) == (CLASSIFIER / "model.weights.bin").read_bytes()


def test_files_may_lie_in_memory_and_on_disk() -> None:
    mixed: dict[str, Any] = {name: CLASSIFIER / name for name in ("model.json", "model.weights.bin")}
    mixed["model_meta.json"] = (CLASSIFIER / "model_meta.json").read_bytes()
    assert read_artifacts(mixed).to_zip() == read_artifacts(CLASSIFIER).to_zip()


def test_both_layouts_lead_back_to_the_same_numbers() -> None:
    artifacts = read_artifacts(CLASSIFIER)
    tensors = conversion.open_model(artifacts)
    state = conversion.in_layout_of_torch(artifacts, tensors)
    assert state["dense_Dense1.weight"].shape == (16, 3)
    back = conversion.from_layout_of_torch(artifacts, {name: tensor.numpy() for name, tensor in state.items()})
    assert all(np.array_equal(np.asarray(back[name]), np.asarray(tensors[name])) for name in tensors)
