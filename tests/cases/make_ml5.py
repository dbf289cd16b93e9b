"""Makes the golden networks that real ml5 0.12.2 and 1.4.0 train and save in Chromium.

    scripts/tools
    python tests/cases/make_ml5.py [--force] [--only SCENARIO] [--into FOLDER]

Each folder ml5/VERSION-SCENARIO gets the three files of ml5's own `nn.save()`, byte for byte, the data.json of its
`nn.saveData()`, and expected.json: raw inputs, the tensors that went into the network and came out, and what ml5
answered, all before saving. ml5 starts from other random weights each time (the data are seeded, the weights cannot
be), so every run makes other networks: look at the numbers that the script prints.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "ml5"
sys.path[:0] = [str(HERE.parent / "browser"), str(HERE.parent)]

from ml5_browser import SAVED_FILES, listen, open_chromium  # noqa: E402
from ml5_judge import VERSIONS, own_files, serve_memory  # noqa: E402
from ml5_scenarios import SCENARIOS, Scenario  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Download, Page

SCRIPT = HERE.parent / "browser/ml5_trainer.js"


def main() -> None:
    """Makes all folders, or those of one scenario."""
    parser = argparse.ArgumentParser(description="Trains networks with real ml5 in Chromium and keeps what it saves.")
    parser.add_argument("--force", action="store_true", help="overwrite the files of an earlier run")
    parser.add_argument("--only", choices=SCENARIOS, help="one scenario instead of all")
    parser.add_argument("--into", type=Path, default=FOLDER, help="write elsewhere than to ml5")
    chosen = parser.parse_args()
    names = [chosen.only] if chosen.only else list(SCENARIOS)
    wanted = [(version, name) for version in VERSIONS for name in names if version in SCENARIOS[name].versions]
    there = [f"{version}-{name}" for version, name in wanted if (chosen.into / f"{version}-{name}").exists()]
    if there and not chosen.force:
        raise SystemExit(f"{chosen.into.name}/{there[0]} is there already; --force makes all anew")
    with serve_memory(own_files()) as address, open_chromium() as browser:
        for version, name in wanted:
            write(chosen.into / f"{version}-{name}", run(browser, f"{address}/{version}.html", version, name))


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def run(browser: Browser, address: str, version: str, name: str) -> dict[str, bytes]:
    """Trains one network in a page of its own, as ml5 keeps defaults for later ones; all files as {name: bytes}."""
    scenario = SCENARIOS[name]
    page = browser.new_page()
    complaints = listen(page)
    page.goto(address)
    page.add_script_tag(path=SCRIPT)
    request = scenario.request(version)
    trained = page.evaluate("(request) => trained(request)", request)
    answers = [page.evaluate("([input, how]) => answered(input, how)", [i, scenario.how]) for i in scenario.inputs]
    files = saved(page, scenario)
    page.close()
    environment = trained["environment"]
    if (environment["ml5"], environment["backend"]) != (version, "cpu"):
        raise SystemExit(
            f"{version}-{name}: ml5 runs as {environment}, not on cpu; expected.json wants the same everywhere"
        )
    print(f"{version}-{name}: tf.js {environment['tfjs']['tfjs']}, {trained['lastEpoch']} {complaints or ''}")
    told = {"options": request["options"], "train": request["train"], "normalize": scenario.normalize}
    head = {"scenario": name, "browser": f"Chromium {browser.version}", "environment": environment}
    head |= {"options": {**told, "how": scenario.how}, "lastEpoch": trained["lastEpoch"], "meta": trained["meta"]}
    return {**files, "expected.json": to_json(head, answers)}


def saved(page: Page, scenario: Scenario) -> dict[str, bytes]:
    """The downloads of `nn.save()`, and of `nn.saveData()` where there are data."""
    files = downloads(page, "(name) => void nn.save(name)", scenario.name, len(SAVED_FILES))
    wanted = {name.replace("model", scenario.name, 1) for name in SAVED_FILES}
    if set(files) != wanted:
        raise SystemExit(f"ml5 saved {sorted(files)}, not {sorted(wanted)}")
    if scenario.rows:  # 1.4.0 forgets the name and takes the time of day
        (files["data.json"],) = downloads(page, "(name) => void nn.saveData(name)", "data", 1).values()
    return files


def downloads(page: Page, script: str, name: str, count: int) -> dict[str, bytes]:
    found: list[Download] = []

    def is_last(download: Download) -> bool:
        found.append(download)
        return len(found) == count

    with page.expect_event("download", is_last):
        page.evaluate(script, name)
    return {download.suggested_filename: download.path().read_bytes() for download in found}


def to_json(head: Mapping[str, Any], answers: list[Any]) -> bytes:
    """One line an answer, so that the file stays small."""
    lines = ",\n".join("  " + json.dumps(answer, separators=(",", ":")) for answer in answers)
    return (json.dumps(head, indent=1)[:-2] + ',\n "beforeSaving": [\n' + lines + "\n ]\n}\n").encode()


if __name__ == "__main__":
    main()
