"""The server under test: the program named by WIGWAG, or the release build of this repository."""

from __future__ import annotations

import json
import os
import re
import selectors
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BUILT = Path(__file__).resolve().parents[2] / "target" / "release" / "wigwag"
READY_LIMIT = 15.0  # seconds
STOP_LIMIT = 3.0


class Server:
    """`wigwag demo` on a port that the kernel chose."""

    def __init__(self, log: Path) -> None:
        program = Path(os.environ.get("WIGWAG") or BUILT)
        if not program.exists():
            pytest.fail(f'{program} is missing: build it with "cargo build --release", or name another in WIGWAG')
        command = [str(program), "demo", "--listen", "127.0.0.1:0", *os.environ.get("WIGWAG_ARGS", "").split()]
        self.log = log
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
        try:
            self.origin = self._ready()
        except BaseException:
            self.stop()
            raise

    def _ready(self) -> str:
        assert self.process.stdout
        out, deadline = b"", time.monotonic() + READY_LIMIT
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                some = os.read(self.process.stdout.fileno(), 4096)
                if not some:
                    break
                out += some
                if line := re.search(rb"(http://127\.0\.0\.1:\d+)/\s", out):
                    return line[1].decode()
        raise RuntimeError(f"the server was not ready: {out!r}\n{self.log.read_text(errors='replace')}")

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """POSTs `body` as JSON; gives the status and the parsed reply. Blocks: call it from a thread."""
        request = urllib.request.Request(
            self.origin + path, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server") / "log")
    yield server
    code = server.process.poll()
    server.stop()
    assert code is None, f"the server ended by itself ({code}):\n{server.log.read_text(errors='replace')}"
