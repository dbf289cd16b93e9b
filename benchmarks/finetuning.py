"""How good and how fast more training of an ml5 network is: here, and in real ml5 1.4.0 in Chromium.

    scripts/tools
    python benchmarks/finetuning.py [--quick | --seeds N]

Real ml5 measures all three networks: what it trained roughly and saved with its data, itself after more epochs in the
page, and ours after as many epochs from the files. Regressions are measured by the share of the variance that they
explain, so that more is better everywhere. `tests/test_ml5_finetuning.py` holds the project to it, loosely.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/browser")]

from ml5_finetuning import BATCH, MORE, RATES, ROUGH, ROWS, SEEDS, TASKS, VERSION, Finetuner, finetuner, rows_of  # noqa: E402

from benchmarks.report import Table, machine, ratio_text, time_text  # noqa: E402
from tfjs_torch import ml5  # noqa: E402

COMMAND = "python benchmarks/finetuning.py"
EPOCHS = 50
TURNS = 3


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description="More training of an ml5 network: here, and in real ml5.")
    parser.add_argument("--quick", action="store_true", help="one seed and 300 rows, to see that everything runs")
    parser.add_argument("--seeds", type=int, metavar="N", help="only how far both are apart, over N of each task")
    args = parser.parse_args()
    quick: bool = args.quick
    print(machine(), end="\n\n")
    with finetuner() as tuner:
        if args.seeds:
            print(apart(tuner, args.seeds))
            return
        print(goodness(tuner, SEEDS[:1] if quick else SEEDS), end="\n\n", flush=True)
        print(speed(tuner, [300] if quick else [300, 5000]))


def goodness(tuner: Finetuner, seeds: tuple[int, ...]) -> Table:
    """What is right, by task, seed and rows."""
    told = (
        f"{ROWS} rows, {ROUGH} epochs, then {MORE} more, batches of {BATCH}, rates {RATES}; shares of right answers, "
        f"or of the variance explained, as ml5 {VERSION} measures them. ml5 draws its weights without a seed."
    )
    table = Table("More training of what ml5 saved", COMMAND, told, ["rows", "rough", "ml5 goes on", "tfjs_torch"])
    for task in TASKS:
        found = {seed: tuner.finetuned(task, seed) for seed in seeds}
        for part in ("learnt", "fresh"):
            lines = [(scores[part].rough, scores[part].by_ml5, scores[part].by_torch) for scores in found.values()]
            means = tuple(statistics.fmean(column) for column in zip(*lines, strict=True))
            for name, line in zip([*(f"seed {seed}" for seed in seeds), "**mean**"], [*lines, means], strict=True):
                table.rows.append([f"{task}, {part} rows, {name}", *(f"{number:.3f}" for number in line)])
    return table


def apart(tuner: Finetuner, count: int) -> Table:
    """Ours less ml5's, on average: three seeds say little, since ml5 begins anywhere and each ends on a step of SGD."""
    command = f"{COMMAND} --seeds {count}"
    table = Table("tfjs_torch less ml5", command, "Mean and standard error of the mean.", ["rows", "difference"])
    for task in TASKS:
        found = [tuner.finetuned(task, seed) for seed in range(1, count + 1)]
        for part in ("learnt", "fresh"):
            each = [scores[part].by_torch - scores[part].by_ml5 for scores in found]
            error = statistics.stdev(each) / count**0.5
            table.rows.append([f"{task}, {part} rows", f"{statistics.fmean(each):+.4f} ± {error:.4f}"])
    return table


def speed(tuner: Finetuner, counts: list[int]) -> Table:
    """How long it takes, in turns."""
    told = (
        f"{EPOCHS} epochs, batches of {BATCH}; medians of {TURNS}. ml5 on tf.js' cpu backend; in brackets "
        "ours ÷ ml5's, so below 1 ours is faster."
    )
    table = Table("Time of training", COMMAND, told, ["rows", "tfjs_torch", f"ml5 {VERSION}"])
    for task in TASKS:
        for count in counts:
            pairs = [(ours(task, count), tuner.seconds(task, count, EPOCHS)) for _ in range(TURNS)]
            mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
            beside = f"{time_text(theirs)} ({ratio_text(mine / theirs)})"
            table.rows.append([f"{task}, {count:,} rows", time_text(mine), beside])
    return table


def ours(task: str, count: int) -> float:
    """Seconds of nn.train, reading the rows included."""
    rows = rows_of(task, count, 1)
    network = ml5.new(task, inputs=list(rows[0][0]), outputs=list(rows[0][1]), learning_rate=RATES[task])
    network.train(rows, epochs=1, seed=1, device="cpu", progress=False)
    start = time.perf_counter()
    network.train(rows, epochs=EPOCHS, batch_size=BATCH, seed=1, device="cpu", progress=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
