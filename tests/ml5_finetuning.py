"""A network that real ml5 trains roughly and saves with its data: ml5 goes on in the page, and we go on from the files.

with finetuner() as tuner:
    tuner.finetuned("classification", seed=1)
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cases.make_ml5 import SCRIPT, downloads
from ml5_browser import open_chromium
from ml5_judge import Ml5Judge, own_files, serve_memory
from ml5_scenarios import Row, drawn

from tfjs_torch import ml5

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VERSION = "1.4.0"
ROWS, ROUGH, MORE, BATCH = 300, 5, 60, 32
SEEDS = (1, 2, 3)
RATES = {"classification": 0.2, "regression": 0.02}  # 0.2 is ml5's default for both; a regression jumps about with it
TASKS = tuple(RATES)

# Returns the seconds that it takes.
GO_ON = """async (train) => {
  const start = performance.now();
  await new Promise((resolve, reject) => nn.train(train, () => {}, (_, error) => (error ? reject(error) : resolve())));
  return (performance.now() - start) / 1000;
}"""

Files = dict[str, bytes]


@dataclass(frozen=True)
class Scores:
    """What the three networks reach, as real ml5 measures it: shares of right answers, or of the variance explained."""

    rough: float
    by_ml5: float
    by_torch: float


class Finetuner:
    """Pages in which ml5 trains, and the judge who measures; made by `finetuner`."""

    def __init__(self, browser: Browser, address: str, judge: Ml5Judge) -> None:
        self._browser, self._address, self._judge = browser, address, judge

    def finetuned(self, task: str, seed: int) -> dict[str, Scores]:
        """{"learnt": on the rows that were learnt, "fresh": on others}."""
        rows, fresh = rows_of(task, ROWS, seed), rows_of(task, ROWS, seed + 1000)
        page = self.page(task, rows, ROUGH)
        rough = downloads(page, "(name) => void nn.save(name)", "model", 3)
        (data,) = downloads(page, "(name) => void nn.saveData(name)", "data", 1).values()
        page.evaluate(GO_ON, {"epochs": MORE, "batchSize": BATCH})
        by_ml5 = downloads(page, "(name) => void nn.save(name)", "model", 3)
        page.close()
        made = (rough, by_ml5, gone_on(task, rough, data, seed))
        sets = {"learnt": rows, "fresh": fresh}
        return {name: Scores(*(self.score(task, files, part) for files in made)) for name, part in sets.items()}

    def seconds(self, task: str, count: int, epochs: int) -> float:
        """How long ml5 trains."""
        page = self.page(task, rows_of(task, count, 1), 1)
        seconds: float = page.evaluate(GO_ON, {"epochs": epochs, "batchSize": BATCH})
        page.close()
        return seconds

    def page(self, task: str, rows: Sequence[Row], epochs: int) -> Page:
        """ml5 with a network that has seen the rows some times."""
        page = self._browser.new_page()
        page.goto(f"{self._address}/{VERSION}.html")
        page.add_script_tag(path=SCRIPT)
        options = {"task": task, "learningRate": RATES[task]}
        train = {"epochs": epochs, "batchSize": BATCH}
        page.evaluate("(all) => trained(all)", {"options": options, "rows": rows, "train": train, "normalize": True})
        return page

    def score(self, task: str, files: Mapping[str, bytes], rows: Sequence[Row]) -> float:
        """What real ml5 gets right with these files; for numbers the share of the variance that they explain."""
        found = self._judge.ask(VERSION, "files", files, task, [xs for xs, _ in rows])
        best = [results[0] for results in found]
        if task == "classification":
            return statistics.fmean(one["label"] == ys["name"] for one, (_, ys) in zip(best, rows, strict=True))
        wanted = [float(ys["height"]) for _, ys in rows]
        errors = [float(one["value"]) - height for one, height in zip(best, wanted, strict=True)]
        return 1 - statistics.fmean(error**2 for error in errors) / statistics.pvariance(wanted)


@contextmanager
def finetuner(judge: Ml5Judge | None = None) -> Iterator[Finetuner]:
    """With a Chromium of its own, and a judge where none is given."""
    if judge is None:
        with Ml5Judge() as own, finetuner(own) as tuner:
            yield tuner
        return
    with serve_memory(own_files()) as address, open_chromium() as browser:
        yield Finetuner(browser, address, judge)


def gone_on(task: str, rough: Files, data: bytes, seed: int) -> Files:
    """Our files after as many more epochs on the same data."""
    network: ml5.NeuralNetwork = ml5.load(rough)
    network.train(
        data, epochs=MORE, batch_size=BATCH, learning_rate=RATES[task], seed=seed, device="cpu", progress=False
    )
    files: Files = network.files()
    return files


def rows_of(task: str, count: int, seed: int) -> list[Row]:
    """Colours and what people call them, not always the same; or places and how high the land is there."""
    return drawn(seed, count, colour if task == "classification" else land)


def colour(chance: random.Random, _: int) -> Row:
    colour = {part: chance.randint(0, 255) for part in "rgb"}
    felt = {part: value + chance.gauss(0, 8) for part, value in colour.items()}
    low, high = min(felt.values()), max(felt.values())
    name = max(felt, key=felt.__getitem__)
    return colour, {"name": "grey" if high - low < 80 else {"r": "red", "g": "green", "b": "blue"}[name]}


def land(chance: random.Random, _: int) -> Row:
    x, y = chance.uniform(0, 10), chance.uniform(-3, 3)
    height = 100 + 40 * math.sin(x / 2) + 5 * x * y / 3 + chance.gauss(0, 3)
    return {"x": round(x, 3), "y": round(y, 3)}, {"height": round(height, 2)}
