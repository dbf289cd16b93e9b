"""Real tf.js in node as a client of the server: model.save(url), tf.loadLayersModel(url), fetch and FormData."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from typing import Any

from judges import JS, SECONDS_TO_ANSWER, JudgeFault, JudgeMissing, TfjsRefused


class TfjsClient:
    """One node process for the length of a `with` block. Not for several threads at once."""

    def __enter__(self) -> TfjsClient:
        node = shutil.which("node")
        if node is None or not (JS / "node_modules" / "@tensorflow" / "tfjs").is_dir():
            raise JudgeMissing(
                "node or tests/js/node_modules is missing, and these tests need real tf.js; run scripts/test"
            )
        self._noise = tempfile.TemporaryFile()
        command = [node, str(JS / "http_client.mjs")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._noise.close()

    def save(self, url: str, **more: Any) -> dict[str, Any]:
        """model.save(url) of a small model: {"status", "text", "url", "predictions"}.

        `more`: method, headers; compiled (fitted, saved with its optimizer), weightless, units.
        """
        return self._ask("save", url=url, **more)

    def load(self, url: str, **more: Any) -> dict[str, Any]:
        """tf.loadLayersModel(url): {"asked": [[url, status, bytes]], "predictions", "weights", "optimizer"}."""
        return self._ask("load", url=url, **more)

    def convert(self, url: str) -> dict[str, Any]:
        """model.save(url) that answers with files: {"names", "predictions", "again" (of those files), "report"}."""
        return self._ask("convert", url=url, headers={"accept": "multipart/form-data"})

    def form(self, url: str, files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
        """What `await (await fetch(url, {body: form})).formData()` gives: {file name: bytes}."""
        rows = [(name, base64.b64encode(data).decode()) for name, data in files]
        parts = self._ask("form", url=url, files=rows)["parts"]
        assert all(name == filename for name, filename, _ in parts)
        return {name: base64.b64decode(data) for name, _, data in parts}

    def _ask(self, op: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        alarm = threading.Timer(SECONDS_TO_ANSWER, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write(json.dumps({"op": op, **request}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            alarm.cancel()
        if not line:
            self._noise.seek(0)
            raise JudgeFault(f"node ended without an answer: {self._noise.read()[-2000:].decode(errors='replace')}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TfjsRefused(answer["error"])
        return answer
