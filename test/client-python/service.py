"""Owns the running product for these tests: started once, on free ports, as its user starts it."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 90
_STOP_SECONDS = 40


# Below those that the kernel gives to outgoing connections, any of which could take a port that was free a moment ago.
_PORTS = range(12_000, 30_000)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Service:
    """`npm start`'s program with a state folder of its own."""

    _shared: Service | None = None

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._state_dir = tempfile.mkdtemp(prefix="pyrepl3-state-")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        env = {
            **os.environ,
            "PORT": str(self.port),
            "RUNNER_PORT": str(free_port()),
            "STATE_DIR": self._state_dir,
            "RATE_LIMIT_PER_SECOND": "0",
            "POOL_MIN_IDLE": "2",
        }
        self.process = subprocess.Popen(
            [ROOT / "node_modules/node/bin/node", "src/local/start.ts"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @classmethod
    def shared(cls) -> Service:
        """Return the one that all tests share; it stops when Python does."""
        if cls._shared is None:
            service = cls._shared = cls()
            atexit.register(service.stop)
            service.wait_until_ready()
        return cls._shared

    def wait_until_ready(self) -> None:
        """Wait until a runner can take a session."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/ready", timeout=5).close()
                return
            except (OSError, urllib.error.URLError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the service is not ready: {self._text()}") from error
            threading.Event().wait(0.1)

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
        shutil.rmtree(self._state_dir, ignore_errors=True)

    def _text(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")
