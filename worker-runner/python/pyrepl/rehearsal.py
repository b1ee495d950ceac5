"""Owns the rehearsal: running the path of an execution on a stand-in, so that the next real execution finds its pages writable.

After a fork, the kernel copies each page at the first write, which costs a page fault (up to 24 µs on virtual machines), and one
small execution writes more than a hundred pages. So after each snapshot, if no request waits, the live process serves one
execution whose connection, output and namespace are stand-ins. User code notices nothing of it.
"""

from __future__ import annotations

import _socket
import builtins
import gc
import time
from types import ModuleType

from .execution import Executor
from .linux import Timer
from .pipes import PipeReader
from .pump import LINGER_MS, Pump
from .ring import Ring
from .session_state import SessionState
from .source import SourceBook
from .streams import OutputStream
from .wire import KIND_JSON, Connection, frame_of, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_CODE = """values = [1, 2.5, "three"]
for value in values[:-1]:
    text = f"{value!r:>8}" + str(value * 2 - 1)
print(text, sum(n for n in range(3) if n > 0), file=stream)
values"""
"""Uses common kinds of statements and expressions: each kind has a class whose page is written to, so more of them cost more."""

_clock = time.perf_counter
_gc_disable, _gc_enable, _gc_is_enabled = gc.disable, gc.enable, gc.isenabled
_make_pair = _socket.socketpair
_PAIR_KIND = _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC


class _IdleReader(PipeReader):
    """Asks the real pipes whether bytes wait, and leaves the bytes there."""

    __slots__ = ("_real",)

    def __init__(self, real: PipeReader | None) -> None:
        self._real = real
        self._decoders = []
        self.waiting = self._ask_and_ignore

    def _ask_and_ignore(self, timeout: float = 0, count: int = 1) -> list[Any]:
        if self._real is not None:
            self._real.waiting(timeout, count)
        return []


class _IdlePump(Pump):
    """A pump without a thread; arming it sets a timer that nobody watches."""

    def __init__(self, timer: Timer) -> None:
        self.postponed = []
        self.is_waiting_for_execution = False
        self.arm = timer.arm


class Rehearsal:
    """Rehearses executions of one live process. `serve_one` is that of a live loop over `stand_in`."""

    def __init__(self, state: SessionState, stand_in: SessionState, serve_one: Callable[[], None]) -> None:
        self._state = state
        self._stand_in = stand_in
        self._serve_one = serve_one
        self._request = frame_of(
            KIND_JSON, to_json({"type": "execute", "execution_id": "rehearsal", "code": _CODE}).encode("ascii")
        )

    def run_if_idle(self) -> None:
        """Rehearse, unless a request waits already."""
        if not self._state.connection.has_something():
            self._state.rehearsal_seconds = self.run()

    def run(self) -> float:
        """Rehearse; returns the seconds that it took, 0 if it was not possible."""
        was_collecting = _gc_is_enabled()
        # No collection here: it would run finalizers of user code between executions.
        _gc_disable()
        try:
            return self._run()
        except BaseException:
            # User code may have used up descriptors, memory or the recursion limit. Then the page faults come later.
            return 0.0
        finally:
            if was_collecting:
                _gc_enable()

    def _run(self) -> float:
        started = _clock()
        near, far = _make_pair(_socket.AF_UNIX, _PAIR_KIND)
        try:
            timer = Timer(LINGER_MS)
            try:
                self._serve_on(near, far, timer)
            finally:
                timer.close()
        finally:
            near.close()
            far.close()
        if self._state.is_started:
            _touch(self._state)
        return _clock() - started

    def _serve_on(self, near: Any, far: Any, timer: Timer) -> None:
        stand_in = self._stand_in
        connection = Connection(near)
        reader = self._state.output.reader if self._state.is_started else None
        stand_in.resume_on(connection, _IdleReader(reader), _IdlePump(timer))
        stand_in.executor.book = SourceBook()
        far.send(self._request)
        self._serve_one()


def stand_in_for(state: SessionState) -> SessionState:
    """Return a session state that shares nothing with `state` that an execution changes."""
    ring = Ring()
    # Not shared: the sessions of a zygote inherit it.
    ring.open(is_shared=False)
    stand_in = SessionState(ring, state.pipes, state.forker)
    stand_in_builtins = ModuleType("builtins")
    vars(stand_in_builtins).update(vars(builtins))
    stand_in.executor = Executor(stand_in.namespace, stand_in_builtins, stand_in.guard)
    stand_in.executor.mime_of = state.executor.mime_of
    stand_in.namespace["stream"] = OutputStream(stand_in.output, 1)
    return stand_in


def _touch(state: SessionState) -> None:
    """Write to the pages of the objects that an execution uses: reading an attribute changes its reference count."""
    output = state.output
    connection = output.connection
    for owner in (
        state,
        output,
        state.prompts,
        state.answers,
        state.toolbox,
        state.tool_calls,
        state.guard,
        state.executor,
        state.executor.book,
        connection,
        output.reader,
    ):
        for name in _attributes_of(owner):
            getattr(owner, name, None)
    namespace = state.namespace
    namespace["__builtins__"] = namespace.get("__builtins__")


def _attributes_of(owner: object) -> Iterator[str]:
    yield from getattr(owner, "__dict__", ())
    yield from getattr(type(owner), "__slots__", ())
