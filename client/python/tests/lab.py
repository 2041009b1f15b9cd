"""The laboratory: three real nodes with one budget behind one address (integration/clientlab)."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import unittest
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .plugs import REQUIRED

needs_go = unittest.skipIf(shutil.which("go") is None and not REQUIRED, "go is not installed")

BODY = json.dumps({"code": "c", "agentId": "a"}).encode()


class Lab:
    def __init__(self, url: str) -> None:
        self.url = url
        self.token = f"{url}/v1/token"

    def calls(self, client: str) -> list[dict[str, Any]]:
        """The calls of one client as the server saw them; times in nanoseconds since its start."""
        return [c for c in self._get("calls") if c["client"] == client]

    def windows(self) -> list[dict[str, int]]:
        windows: list[dict[str, int]] = self._get("windows")
        return windows

    def _get(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/lab/{what}") as response:
            return json.load(response)


@contextmanager
def running(*flags: str) -> Iterator[Lab]:
    """Runs the laboratory for a while."""
    root = Path(__file__).parents[3]
    with tempfile.TemporaryDirectory() as temporary:
        program = str(Path(temporary) / "serve")
        subprocess.run(["go", "build", "-o", program, "./integration/clientlab/serve"], cwd=root, check=True)
        pipe = subprocess.PIPE
        with subprocess.Popen([program, *flags], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as server:
            assert server.stdout is not None
            try:
                yield Lab(server.stdout.readline().strip())
            finally:
                server.kill()


def headers(client: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "X-Client": client}
