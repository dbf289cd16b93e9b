"""What ml5 has begun, torch makes at least as good as ml5 itself does in as many more epochs on the same data.

`python benchmarks/finetuning.py` prints the table of which this is the bound. ml5 draws its weights without a seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import pytest
from ml5_finetuning import SEEDS, TASKS, Finetuner, finetuner
from ml5_judge import Ml5Judge

LOOSE = 0.08  # of 1: the share of right answers, or of the variance explained
LOOSER = 0.25  # one seed: ml5 begins anywhere


@pytest.fixture(scope="module")
def tuner(ml5_judge: Ml5Judge) -> Iterator[Finetuner]:
    with finetuner(ml5_judge) as started:
        yield started


@pytest.mark.parametrize("task", TASKS)
def test_more_training_here_is_as_good_as_more_training_in_ml5(tuner: Finetuner, task: str) -> None:
    found = [tuner.finetuned(task, seed) for seed in SEEDS]
    for part in ("learnt", "fresh"):
        scores = [one[part] for one in found]
        assert statistics.fmean(s.by_torch - s.by_ml5 for s in scores) > -LOOSE, scores
        assert min(s.by_torch - s.by_ml5 for s in scores) > -LOOSER, scores
        assert statistics.fmean(s.by_torch - s.rough for s in scores) > 0.05, scores
