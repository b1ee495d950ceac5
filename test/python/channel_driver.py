"""Owns the runner's end of the channel for tests: a listening socket, a real keeper, and frames in both directions."""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "worker-runner", "python")
DEADLINE_SECONDS = 20.0

Message = dict[str, Any]


def _frame(kind: bytes, payload: bytes) -> bytes:
    return (len(payload) + 1).to_bytes(4, "little") + kind + payload


class Ended(Exception):
    """The process's connection has ended."""


class Peer:
    """One process's connection, seen from the runner. Output frames become messages of type `output`."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.inbox = bytearray()
        self.hello: Message = {}
        self.blob = bytearray()

    @property
    def pid(self) -> int:
        return int(self.hello["pid"])

    def send(self, **message: Any) -> None:
        """Send one message."""
        self.send_together(message)

    def send_together(self, *messages: Message) -> None:
        """Send messages in one write, so that the process finds all of them once it finds the first."""
        self.socket.sendall(b"".join(_frame(b"J", json.dumps(message).encode("ascii")) for message in messages))

    def send_frame(self, kind: bytes, payload: bytes) -> None:
        """Send one frame."""
        self.socket.sendall(_frame(kind, payload))

    def receive(self, deadline_seconds: float = DEADLINE_SECONDS) -> Message:
        """Return the next message; blob pieces are gathered in `blob` on the way."""
        end = time.monotonic() + deadline_seconds
        while True:
            message = self._take()
            if message is not None:
                return message
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError("no message in time")
            try:
                piece = self.socket.recv(1 << 20)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Ended
            self.inbox += piece

    def receive_type(self, *types: str, deadline_seconds: float = DEADLINE_SECONDS) -> Message:
        """Return the next message, which must be of one of `types`."""
        message = self.receive(deadline_seconds)
        if message["type"] not in types:
            raise AssertionError(f"expected {types}, got {message}")
        return message

    def _take(self) -> Message | None:
        while len(self.inbox) >= 5:
            size = int.from_bytes(self.inbox[:4], "little")
            if len(self.inbox) < 4 + size:
                return None
            kind, payload = bytes(self.inbox[4:5]), bytes(self.inbox[5 : 4 + size])
            del self.inbox[: 4 + size]
            if kind == b"J":
                return dict(json.loads(payload.decode("ascii")))
            if kind == b"O":
                return {
                    "type": "output",
                    "offset": int.from_bytes(payload[:8], "little"),
                    "stream": {1: "stdout", 2: "stderr"}[payload[8]],
                    "data": payload[9:].decode("utf-8"),
                }
            self.blob += payload
        return None

    def close(self) -> None:
        """End the connection."""
        self.socket.close()


class Copy:
    """A snapshot: asleep, or connected as `peer`."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.pid = 0
        self.peer: Peer | None = None

    def close(self) -> None:
        """Let it go, where it is connected."""
        if self.peer is not None:
            self.peer.close()


class Driver:
    """A session without a sandbox: the keeper, and at most one live process."""

    def __init__(
        self, preload: str = "", python: str = "", environment: dict[str, str] | None = None, flags: Sequence[str] = ()
    ) -> None:
        self.folder = tempfile.mkdtemp(prefix="pyrepl-test-")
        self.workspace = os.path.join(self.folder, "workspace")
        os.mkdir(self.workspace)
        path = os.path.join(self.folder, "channel")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        self.waiting: dict[str, Peer] = {}
        self.peers: list[Peer] = []
        self.ids = 0
        env = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "PYREPL_CHANNEL": path,
            "PYREPL_PRELOAD": preload,
            "PYREPL_PROGRAM": PROGRAM,
            "PYREPL_WORKSPACE": self.workspace,
            **(environment or {}),
        }
        token = secrets.token_hex(16)
        program = python or os.environ.get("PYREPL_TEST_PYTHON") or sys.executable
        self.process = subprocess.Popen(
            [program, "-I", "-X", "utf8", *flags, PROGRAM], stdin=subprocess.PIPE, env=env, cwd=self.folder
        )
        assert self.process.stdin is not None
        self.process.stdin.write(token.encode() + b"\n")
        self.process.stdin.close()
        self.keeper = self.accept(token)
        self.live = self.spawn(self.keeper)

    def accept(self, token: str) -> Peer:
        """Return the peer that says hello with `token`."""
        end = time.monotonic() + DEADLINE_SECONDS
        while token not in self.waiting:
            self.listener.settimeout(max(0.01, end - time.monotonic()))
            sock, _ = self.listener.accept()
            peer = Peer(sock)
            self.peers.append(peer)
            peer.hello = peer.receive_type("hello")
            self.waiting[peer.hello["token"]] = peer
        return self.waiting.pop(token)

    def spawn(self, source: Peer) -> Peer:
        """Have the keeper make a live process."""
        token = secrets.token_hex(16)
        source.send(type="spawn", token=token)
        return self.accept(token)

    def next_id(self) -> str:
        """Return an id that was not used before."""
        self.ids += 1
        return f"id{self.ids}"

    def execute(self, code: str, answers: Sequence[str | None] = ()) -> Outcome:
        """Run code to its end, answering its questions in turn."""
        execution_id = self.start(code)
        return self.finish(execution_id, answers)

    def start(self, code: str, **options: Any) -> str:
        """Begin an execution; returns its id."""
        execution_id = self.next_id()
        self.live.send(type="execute", execution_id=execution_id, code=code, **options)
        return execution_id

    def begin(self, code: str) -> str:
        """Begin an execution and wait until it runs: a signal that comes earlier has no effect."""
        execution_id = self.start("print('begun', flush=True)\n" + code)
        self.wait_for_output("begun\n")
        return execution_id

    def wait_for_output(self, text: str) -> None:
        """Read from the live process until its output, in however many pieces, holds `text`."""
        seen = ""
        while text not in seen:
            seen += self.live.receive_type("output")["data"]

    def finish(self, execution_id: str, answers: Sequence[str | None] = ()) -> Outcome:
        """Read an execution's messages up to the last one."""
        pending = list(answers)
        events: list[Message] = []
        while True:
            message = self.live.receive()
            events.append(message)
            if message["type"] == "input":
                self.live.send(type="input_response", input_id=message["input_id"], value=pending.pop(0))
            if message["type"] in ("result", "error"):
                if message["execution_id"] != execution_id:
                    raise AssertionError(f"answer of another execution: {message}")
                return Outcome(events)

    def wait_for(self, wanted: Callable[[Message], bool]) -> Message:
        """Read from the live process up to the first message that is wanted."""
        while True:
            message = self.live.receive()
            if wanted(message):
                return message

    def signal(self, signum: int) -> bool:
        """Send a signal to the live process through the keeper."""
        self.keeper.send(type="signal", id=self.next_id(), pid=self.live.pid, signal=signum)
        while True:
            answer = self.keeper.receive_type("signalled", "exited")
            if answer["type"] == "signalled":
                return bool(answer["delivered"])
            if answer["pid"] == self.live.pid:
                raise Ended

    def freeze(self, **options: Any) -> tuple[Copy, Message]:
        """Take a snapshot and leave it asleep; returns it and the live process's report."""
        copy = Copy(secrets.token_hex(16))
        self.live.send(type="snapshot", id=self.next_id(), token=copy.token, **options)
        report = self.live.receive_type("snapshot_taken")
        copy.pid = report["pid"]
        return copy, report

    def wake(self, copy: Copy) -> Peer:
        """Have a snapshot connect."""
        if copy.peer is None:
            self.keeper.send(type="signal", id=self.next_id(), pid=copy.pid, signal=signal.SIGUSR1)
            while (answer := self.keeper.receive_type("signalled", "exited"))["type"] != "signalled":
                continue
            if not answer["delivered"]:
                raise Ended
            copy.peer = self.accept(copy.token)
        return copy.peer

    def drop(self, copy: Copy) -> None:
        """Let a snapshot go, as the runner does."""
        copy.close()
        self.end(copy.pid)

    def end(self, pid: object) -> None:
        """Send SIGKILL to a copy through the keeper; the answer is read before the next signal."""
        self.keeper.send(type="signal", id=self.next_id(), pid=pid, signal=signal.SIGKILL)
        while self.keeper.receive_type("signalled", "exited")["type"] != "signalled":
            continue

    def snapshot(self, **options: Any) -> tuple[Copy, Message]:
        """Take a snapshot and have it connect; returns it and the live process's report."""
        copy, report = self.freeze(**options)
        self.wake(copy)
        return copy, report

    def revive(self, copy: Copy) -> Peer:
        """Make a snapshot the live process; it stays by a copy of itself."""
        token, copy_token = secrets.token_hex(16), secrets.token_hex(16)
        self.wake(copy).send(type="spawn", token=token, snapshot_token=copy_token)
        live = self.accept(token)
        copy.pid, copy.token, copy.peer = live.hello["snapshot_pid"], copy_token, None
        return live

    def checkpoint(self, snapshot: Copy, max_blob_bytes: int = 1 << 30, max_workspace_bytes: int = 1 << 24) -> Blob:
        """Have a fork of a snapshot write a blob."""
        token = secrets.token_hex(16)
        self.wake(snapshot).send(
            type="serialize",
            id=self.next_id(),
            token=token,
            max_blob_bytes=max_blob_bytes,
            max_workspace_bytes=max_workspace_bytes,
        )
        serializer = self.accept(token)
        report = serializer.receive_type("serialized", "serialize_failed")
        if report["type"] == "serialize_failed":
            raise AssertionError(report)
        return Blob(bytes(serializer.blob), report)

    def load(self, blob: bytes, *, clear_existing: bool = True) -> Message:
        """Load a blob into the live process; returns its answer."""
        self.live.send(type="load", id=self.next_id(), clear_existing=clear_existing)
        for start in range(0, len(blob), 262144):
            self.live.send_frame(b"B", blob[start : start + 262144])
        self.live.send_frame(b"B", b"")
        return self.live.receive_type("loaded", "load_failed")

    def sweep(self, keep: Sequence[Copy] = ()) -> list[Message]:
        """End everything but `keep`; returns what the keeper said, `swept` last."""
        self.keeper.send(type="sweep", id=self.next_id(), keep=[peer.pid for peer in keep])
        said = [self.keeper.receive()]
        while said[-1]["type"] != "swept":
            said.append(self.keeper.receive())
        return said

    def restore(self, snapshot: Copy, keep: Sequence[Copy] = ()) -> list[Message]:
        """End the live process and make another from `snapshot`."""
        said = self.sweep([snapshot, *keep])
        self.live.close()
        self.live = self.revive(snapshot)
        return said

    def restart(self) -> list[Message]:
        """End everything and make a fresh live process."""
        said = self.sweep()
        self.live.close()
        self.live = self.spawn(self.keeper)
        return said

    def close(self) -> None:
        """End the session; the keeper must go by itself."""
        for peer in self.peers:
            peer.close()
        try:
            self.process.wait(DEADLINE_SECONDS)
        finally:
            self.listener.close()
            shutil.rmtree(self.folder, ignore_errors=True)


class Blob:
    """A checkpoint blob, and what the serializer said of it."""

    def __init__(self, content: bytes, report: Message) -> None:
        self.content = content
        self.report = report

    def skipped(self) -> dict[str, str]:
        """Reasons by name."""
        return {entry["name"]: entry["reason"] for entry in self.report["skipped"]}


class Outcome:
    """What one execution sent."""

    def __init__(self, events: list[Message]) -> None:
        self.events = events
        self.last = events[-1]

    @property
    def value(self) -> Any:
        """The value of a `result`, parsed."""
        if self.last["type"] != "result":
            raise AssertionError(self.last["traceback"])
        return None if self.last["value"] is None else json.loads(self.last["value"])

    @property
    def repr(self) -> str | None:
        """The repr of a `result`."""
        if self.last["type"] != "result":
            raise AssertionError(self.last["traceback"])
        text: str | None = self.last["repr"]
        return text

    @property
    def kinds(self) -> list[str]:
        """The types of the messages in order; output counts once, because a busy machine splits it anywhere."""
        types = [str(event["type"]) for event in self.events]
        return [kind for index, kind in enumerate(types) if kind != "output" or types[index - 1 : index] != ["output"]]

    @property
    def error(self) -> str:
        """The exception's type, empty for a `result`."""
        return str(self.last.get("exception_type", ""))

    def text(self, stream: str = "") -> str:
        """The output of one stream, or of both in the order of arrival."""
        return "".join(e["data"] for e in self.events if e["type"] == "output" and stream in ("", e["stream"]))
