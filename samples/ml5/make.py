"""Trains the ml5 sketches in a real browser and keeps what they save.

    pip install playwright==1.65.2
    (cd samples/ml5 && npm ci --ignore-scripts)
    python samples/ml5/make.py --force

Each sample folder gets the three files of ml5's own `nn.save()`, byte for byte, and expected.json: raw inputs with
what ml5 answered to them right after training. ml5 starts from other random weights each time, so every run makes
another network: remake both or none, and look at the numbers that the script prints.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

SAMPLES = Path(__file__).resolve().parents[1]
# The browser test reads these files back with the same Chromium and the same ml5.
sys.path.insert(0, str(SAMPLES.parent / "tests/browser"))

from ml5_browser import SAVED_FILES, listen, open_chromium, require_ml5, serve  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Download, Page

Row = dict[str, float]

# Plain colours, near misses, colours that no lesson showed (black, white, grey), and fractions.
COLOURS: list[Row] = [
    {"r": 255, "g": 0, "b": 0},
    {"r": 240, "g": 200, "b": 30},
    {"r": 20, "g": 160, "b": 60},
    {"r": 30, "g": 60, "b": 220},
    {"r": 255, "g": 128, "b": 0},
    {"r": 0, "g": 200, "b": 200},
    {"r": 160, "g": 40, "b": 200},
    {"r": 0, "g": 0, "b": 0},
    {"r": 255, "g": 255, "b": 255},
    {"r": 127.5, "g": 127.5, "b": 127.5},
]
# Corners, the middle, the strong ring, fractions, and two places off the map.
PLACES: list[Row] = [
    {"x": 0, "y": 0},
    {"x": 640, "y": 0},
    {"x": 0, "y": 400},
    {"x": 640, "y": 400},
    {"x": 320, "y": 200},
    {"x": 320, "y": 60},
    {"x": 480, "y": 200},
    {"x": 123.25, "y": 321.5},
    {"x": -50, "y": 100},
    {"x": 700, "y": 450},
]
SKETCHES: dict[str, tuple[str, list[Row]]] = {
    "ml5-classifier": ("classification", COLOURS),
    "ml5-regression": ("regression", PLACES),
}
ASK = """async ([task, inputs]) => {
  const results = [];
  for (const input of inputs) results.push(await (task === "regression" ? nn.predict(input) : nn.classify(input)));
  return results;
}"""
VERSIONS = "() => ({ml5: ml5.version, tfjs: ml5.tf.version.tfjs, backend: ml5.tf.getBackend()})"


def main() -> None:
    """Makes both samples."""
    parser = argparse.ArgumentParser(description="Trains the ml5 sketches in Chromium and keeps what they save.")
    parser.add_argument("--force", action="store_true", help="overwrite the files of an earlier run")
    force = parser.parse_args().force
    made = [SAMPLES / name / file for name in SKETCHES for file in (*SAVED_FILES, "expected.json")]
    there = [path for path in made if path.exists()]
    if there and not force:
        raise SystemExit(f"{there[0].relative_to(SAMPLES.parent)} is there already; --force makes all samples anew")
    require_ml5()
    with serve(SAMPLES) as address, open_chromium() as browser:
        runs = {name: run_sketch(browser, f"{address}/{name}/sketch.html", *SKETCHES[name]) for name in SKETCHES}
    for name, files in runs.items():
        for file, content in files.items():
            (SAMPLES / name / file).write_bytes(content)


def run_sketch(browser: Browser, address: str, task: str, inputs: list[Row]) -> dict[str, bytes]:
    """Trains one sketch; its saved files and expected.json as {name: bytes}."""
    from playwright.sync_api import Error

    page = browser.new_page()
    complaints = listen(page)
    page.goto(address)
    try:
        page.wait_for_selector("#save:enabled", timeout=60_000)
    except Error as error:
        raise SystemExit(f"{address}: {page.inner_text('#status')} {complaints}") from error
    print(f"{address}: {page.inner_text('#status')}")
    versions = page.evaluate(VERSIONS)
    if versions["backend"] != "cpu":
        raise SystemExit(f"ml5 computes on {versions['backend']}; expected.json wants cpu, the same on all machines")
    results = page.evaluate(ASK, [task, inputs])
    answers = [{"input": given, "result": result} for given, result in zip(inputs, results, strict=True)]
    expected = {"task": task, "browser": f"Chromium {browser.version}", **versions, "answers": answers}
    return {**press_save(page), "expected.json": to_json(expected)}


def press_save(page: Page) -> dict[str, bytes]:
    """The three downloads of `nn.save()` as {name: bytes}."""
    downloads: list[Download] = []

    def is_last(download: Download) -> bool:
        downloads.append(download)
        return len(downloads) == len(SAVED_FILES)

    with page.expect_event("download", is_last):
        page.click("#save")
    files = {download.suggested_filename: download.path().read_bytes() for download in downloads}
    if sorted(files) != sorted(SAVED_FILES):
        raise SystemExit(f"ml5 saved {sorted(files)}, not {sorted(SAVED_FILES)}")
    return files


def to_json(expected: Mapping[str, Any]) -> bytes:
    """One line an answer, so that a person can read it."""
    head = {key: value for key, value in expected.items() if key != "answers"}
    answers = ",\n".join("  " + json.dumps(answer) for answer in expected["answers"])
    return (json.dumps(head, indent=1)[:-2] + ',\n "answers": [\n' + answers + "\n ]\n}\n").encode()


if __name__ == "__main__":
    main()
