"""Owns running code over REST alone, for networks that let no WebSocket through: events come as lines of JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from typing import Any, AsyncIterator, Coroutine, Dict, List, Optional, Set

from . import calls
from .address import Address
from .errors import ClientClosedError, ConnectionLostError, NotFoundError, ProtocolError, PyREPL3Error
from .events import is_terminal, parse_event
from .http_call import Call, make_call, open_answer
from .run_state import RunState
from .transport import Backoff, ConnectionOptions, OnEvent, Transport


class HttpRuns(Transport):
    """One streamed request for each execution; one that breaks off goes on after the last event that came."""

    def __init__(self, address: Address, session: str, options: ConnectionOptions, on_event: OnEvent) -> None:
        self._address = address
        self._session = session
        self._options = options
        self._on_event = on_event
        self._streams: Dict[RunState, _Stream] = {}
        self._tasks: Set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def submit(self, run: RunState) -> None:
        if self._is_closed:
            raise ClientClosedError("the client is closed")
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = self._spawn(self._follow(run, accepted))
        task.add_done_callback(lambda _: accepted.done() or accepted.set_result(None))
        try:
            await accepted
        except asyncio.CancelledError:
            run.detach()
            raise
        run.check()

    async def set_tools(self, tools: List[Dict[str, Any]]) -> None:
        await self._call(calls.set_tools(self._session, tools))

    def answer_input(self, execution_id: str, input_id: str, value: Optional[str]) -> None:
        self._spawn(self._deliver(calls.answer_input(execution_id, input_id, value)))

    def answer_tool(self, execution_id: str, call_id: str, result: Dict[str, Any]) -> None:
        self._spawn(self._deliver(calls.answer_tool(execution_id, result)))

    async def close(self) -> None:
        self._is_closed = True
        for run, stream in list(self._streams.items()):
            run.fail(ClientClosedError("the client was closed"))
            stream.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _call(self, call: Call[Any]) -> Any:
        return await asyncio.to_thread(make_call, self._address, call, self._options.call_seconds)

    async def _deliver(self, call: Call[None]) -> None:
        """Send an answer until it is taken; the first one counts, so sending it again does no harm."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.reconnect_seconds
        backoff = Backoff()
        while True:
            try:
                return await self._call(call)
            except NotFoundError:
                return None
            except PyREPL3Error as error:
                pause = max(backoff.next(), getattr(error, "retry_after", None) or 0)
                if not _is_passing(error) or loop.time() + pause > deadline:
                    return None  # The execution's own end tells what became of it.
            await asyncio.sleep(pause)

    async def _follow(self, run: RunState, accepted: asyncio.Future[None]) -> None:
        """Read the run's events to the end, over as many requests as it takes; `accepted` is set at the first answer."""
        loop = asyncio.get_running_loop()
        failing_since: Optional[float] = None
        backoff = Backoff()
        while run.is_waiting:
            seen = run.last_seq
            stream = _Stream(self._address, self._call_of(run), self._options.keepalive_seconds * 2)
            self._streams[run] = stream
            try:
                async for line in stream.lines():
                    if not accepted.done():
                        accepted.set_result(None)
                    if not line:
                        continue
                    await self._take(run, json.loads(line), len(line))
                raise ConnectionLostError("the events broke off")
            except PyREPL3Error as error:
                if not run.is_waiting:
                    return
                if run.last_seq > seen:
                    failing_since, backoff = None, Backoff()
                now = loop.time()
                failing_since = now if failing_since is None else failing_since
                # What was never reached is not there; what was reached comes back, and its id keeps it from running twice.
                patience = self._options.reconnect_seconds if run.has_events or stream.was_connected else 0
                pause = backoff.next()
                if not _is_passing(error) or now + pause > failing_since + patience:
                    run.fail(error)
                    return
            except (ValueError, KeyError, TypeError) as error:
                run.fail(ProtocolError(f"an event does not have the form of the contract: {error!r}"))
                return
            finally:
                self._streams.pop(run, None)
                stream.stop()
            await asyncio.sleep(pause)

    def _call_of(self, run: RunState) -> Call[None]:
        if run.has_events or run.request is None:
            return calls.events(run.execution_id, run.last_seq)
        return calls.execute_streamed({"session": self._session, **run.message()})

    async def _take(self, run: RunState, message: Dict[str, Any], size: int) -> None:
        if message["type"] == "gap":
            run.collector.is_output_truncated = True
            return
        event = parse_event(message)
        is_consumed = asyncio.Event()
        if event.seq > run.last_seq:
            run.receive(event, is_consumed.set)
            self._on_event(event, run)
            # Reading on only then is what slows down Python where its reader is slow.
            if not is_terminal(event):
                await is_consumed.wait()


class _Stream:
    """One request whose lines come one at a time from a thread."""

    def __init__(self, address: Address, call: Call[None], timeout: float) -> None:
        self._address = address
        self._call = call
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._room = threading.Semaphore(8)
        self._socket: Optional[socket.socket] = None
        self._is_stopped = threading.Event()
        self.was_connected = False

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield an empty line once the service answers, then each line; raises what the request raised."""
        threading.Thread(target=self._read, name="pyrepl3-events", daemon=True).start()
        while True:
            item = await self._queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                return
            yield item
            self._room.release()

    def stop(self) -> None:
        """Drop the connection; the thread ends."""
        self._is_stopped.set()
        self._room.release()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        try:
            with open_answer(self._address, self._call, self._timeout, self._connected) as response:
                self._put(b"")
                for line in response:
                    self._room.acquire()
                    if self._is_stopped.is_set():
                        return
                    # A line without its end means that the connection broke; its event comes again.
                    if not line.endswith(b"\n"):
                        break
                    self._put(line)
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _connected(self, connection: socket.socket) -> None:
        self._socket = connection
        self.was_connected = True
        if self._is_stopped.is_set():
            raise ConnectionLostError("the client was closed")

    def _put(self, item: Any) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)


def _is_passing(error: PyREPL3Error) -> bool:
    return isinstance(error, ConnectionLostError) or getattr(error, "status", 0) in (429, 500, 502, 503, 504)
