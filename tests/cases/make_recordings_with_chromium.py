"""Makes tests/cases/teachable/recordings: .wav files of many kinds, and what real Chromium decodes from them.

    scripts/tools
    python tests/cases/make_recordings_with_chromium.py [--into FOLDER]

expected.json has the channels that decodeAudioData of an AudioContext of 44 100 Hz gives, float32 in base64; under
"odd" the first channel of each odd file of tests/sounds.py, if Chromium takes it. On processors without AVX2 and FMA
Chromium adds up in another order; there, the last bit of some samples differs.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "browser"), str(HERE.parent)]

from ml5_browser import REPOSITORY, open_chromium, serve  # noqa: E402
from sounds import ODD, noise, wav  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

RECORDINGS = {
    "phone-48000": wav(noise(1500), 48_000),
    "recorder-48000-stereo-float": wav(noise(700, 2), 48_000, "f4", extensible=True),
    "22050-8-bit": wav(noise(500), 22_050, "u1"),
    "16000": wav(noise(500), 16_000),
    "96000-24-bit-stereo": wav(noise(1500, 2), 96_000, "i3", extensible=True),
    "8000": wav(noise(300), 8000),
    "32000-steps-fall-short": wav(noise(1000), 32_000, "f4"),
    "84000-steps-start-anew": wav(noise(600), 84_000, "f4"),
    "192000-32-bit": wav(noise(2000), 192_000, "i4", extensible=True),
    "44100-surround": wav(noise(100, 6), extensible=True),
}


def main() -> None:
    """Makes all files anew."""
    parser = argparse.ArgumentParser(description="Has real Chromium decode .wav files and keeps what it gives.")
    parser.add_argument("--into", type=Path, default=HERE / "teachable/recordings", help="write elsewhere")
    folder = parser.parse_args().into
    folder.mkdir(parents=True, exist_ok=True)
    with serve(REPOSITORY) as address, open_chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}/tests/browser/ml5_loader.html")
        page.add_script_tag(path=HERE.parent / "browser/teachable_page.js")
        channels = {name: decoded(page, data) for name, data in RECORDINGS.items()}
        odd = {name: decoded(page, data)[:1] for name, data in ODD.items()}
        by = f"Chromium {browser.version}"
    for name, data in RECORDINGS.items():
        (folder / f"{name}.wav").write_bytes(data)
    (folder / "expected.json").write_text(json.dumps({"by": by, "channels": channels, "odd": odd}, indent=1) + "\n")


def decoded(page: Page, data: bytes) -> list[str]:
    """The channels in base64; none where Chromium refuses the file."""
    return page.evaluate("decodedChannels", [base64.b64encode(data).decode()]) or []


if __name__ == "__main__":
    main()
