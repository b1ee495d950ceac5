"""Owns a client's WebSocket to its session: attached, acknowledging, and back by itself after it was cut."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .address import Address
from .errors import ClientClosedError, ConnectionLostError, ProtocolError, PyREPL3Error, error_of
from .events import is_terminal, parse_event
from .flow_control import FlowControl
from .run_state import RunState
from .transport import Backoff, ConnectionOptions, OnEvent, Transport
from .websocket import UpgradeRefusedError, WebSocket, problem_of

_PATH = "/ws/v1/session"


class SessionSocket(Transport):
    """Opens at the first execution. While executions run, a lost connection is replaced and nothing is lost or doubled."""

    def __init__(self, address: Address, session: str, options: ConnectionOptions, on_event: OnEvent) -> None:
        self._address = address
        self._session = session
        self._options = options
        self._on_event = on_event
        self._runs: Dict[str, RunState] = {}
        # Answers by the id of what they answer, with their execution, until that ends: sent again after a cut.
        self._answers: Dict[str, Tuple[str, Dict[str, Any]]] = {}
        self._replies: Dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._last_seq: Optional[int] = None
        self._socket: Optional[WebSocket] = None
        self._flow: Optional[FlowControl] = None
        self._opening: Optional[asyncio.Task[WebSocket]] = None
        self._tasks: List[asyncio.Task[Any]] = []
        self._has_been_open = False
        self._is_closed = False

    async def submit(self, run: RunState) -> None:
        self._runs[run.execution_id] = run
        try:
            socket = await self._open()
        except BaseException:
            self._runs.pop(run.execution_id, None)
            raise
        if run.sent_on is None:
            await self._send_execute(run, socket)

    async def set_tools(self, tools: List[Dict[str, Any]]) -> None:
        await self._request({"type": "tools", "tools": tools})

    def answer_input(self, execution_id: str, input_id: str, value: Optional[str]) -> None:
        self._answer(execution_id, input_id, {"type": "input_response", "input_id": input_id, "value": value})

    def answer_tool(self, execution_id: str, call_id: str, result: Dict[str, Any]) -> None:
        self._answer(execution_id, call_id, {"type": "tool_result", **result})

    async def close(self) -> None:
        self._is_closed = True
        self._fail_all(ClientClosedError("the client was closed"))
        socket, self._socket = self._socket, None
        tasks: List[asyncio.Task[Any]] = [*self._tasks, *([] if self._opening is None else [self._opening])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if socket is not None:
            await socket.close()

    # -- connection

    async def _open(self) -> WebSocket:
        if self._is_closed:
            raise ClientClosedError("the client is closed")
        if self._socket is not None:
            return self._socket
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._connect())
        try:
            return await asyncio.shield(self._opening)
        except asyncio.CancelledError:
            if self._is_closed:
                raise ClientClosedError("the client was closed") from None
            raise

    async def _connect(self) -> WebSocket:
        """Open and attach; a connection that was there before gets `reconnect_seconds` to come back."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._options.reconnect_seconds if self._has_been_open else 0)
        backoff = Backoff()
        while True:
            try:
                socket = await self._open_socket()
                break
            except ConnectionLostError as error:
                pause = backoff.next()
                if loop.time() + pause > deadline:
                    raise error
            except PyREPL3Error as error:
                pause = max(backoff.next(), getattr(error, "retry_after", None) or 0)
                is_passing = getattr(error, "status", 0) in (429, 500, 502, 503, 504)
                if not is_passing or loop.time() + pause > deadline:
                    raise error
            await asyncio.sleep(pause)
        return socket

    async def _open_socket(self) -> WebSocket:
        address = self._address
        try:
            socket = await WebSocket.connect(
                address.host,
                address.port,
                address.target(_PATH, {"session": self._session}),
                {"host": address.netloc, **address.headers()},
                tls=address.tls,
                timeout=self._options.connect_seconds,
            )
        except UpgradeRefusedError as error:
            raise problem_of(error) from None
        flow = FlowControl(
            self._options.window_bytes, lambda seq: socket.send_soon(json.dumps({"type": "ack", "seq": seq}))
        )
        attached: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.ensure_future(self._read(socket, flow, attached)))
        self._tasks.append(asyncio.ensure_future(self._keep_alive(socket)))
        after = {} if self._last_seq is None else {"after": self._last_seq}
        await socket.send(json.dumps({"type": "attach", "window": self._options.window_bytes, **after}))
        # The replay before `attached` takes as long as its readers do; a dead connection ends by `_keep_alive`.
        try:
            return await attached
        except BaseException:
            socket.abort()
            raise

    async def _keep_alive(self, socket: WebSocket) -> None:
        seen = -1
        while seen != socket.received_count:
            seen = socket.received_count
            await asyncio.sleep(self._options.keepalive_seconds)
            if seen == socket.received_count:
                try:
                    await socket.ping()
                except ConnectionLostError:
                    return
                await asyncio.sleep(self._options.keepalive_seconds)
        socket.abort()

    async def _read(self, socket: WebSocket, flow: FlowControl, attached: asyncio.Future[WebSocket]) -> None:
        cause: Exception = ConnectionLostError("the connection was lost")
        try:
            while True:
                text = await socket.receive()
                message: Any = json.loads(text)
                if message["type"] == "attached":
                    self._attached(socket, flow, message["data"])
                    if not attached.done():
                        attached.set_result(socket)
                    await self._send_again(socket, message["data"])
                else:
                    self._dispatch(message, flow, len(text))
        except PyREPL3Error as error:
            cause = error
        except (ValueError, KeyError, TypeError) as error:
            cause = ProtocolError(f"a message of the service does not have the form of the contract: {error!r}")
        finally:
            flow.close()
            socket.abort()
        self._lost(socket, attached, cause)

    def _lost(self, socket: WebSocket, attached: asyncio.Future[WebSocket], cause: Exception) -> None:
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionLostError("the connection was lost before the answer came"))
        self._replies.clear()
        if isinstance(cause, ProtocolError):
            self._fail_all(cause)
        if not attached.done():
            attached.set_exception(cause)
        if self._socket is not socket:
            return
        self._socket = None
        self._flow = None
        if self._runs and not self._is_closed:
            self._tasks.append(asyncio.ensure_future(self._come_back()))

    async def _come_back(self) -> None:
        try:
            await self._open()
        except PyREPL3Error as error:
            self._fail_all(error)

    # -- messages

    def _attached(self, socket: WebSocket, flow: FlowControl, data: Mapping[str, Any]) -> None:
        last_seq = int(data["last_seq"])
        if self._last_seq is not None and last_seq < self._last_seq:
            for run in [run for run in self._runs.values() if run.has_events]:
                self._runs.pop(run.execution_id)
                run.fail(ConnectionLostError("the session was deleted while the connection was lost"))
        self._last_seq = last_seq
        self._socket = socket
        self._flow = flow
        self._has_been_open = True

    async def _send_again(self, socket: WebSocket, data: Mapping[str, Any]) -> None:
        """Send what may not have arrived before the connection was cut; ids keep it from counting twice."""
        pending = {str((data.get("pending_input") or {}).get("input_id"))}
        pending |= {str(call["call_id"]) for call in data.get("pending_tool_calls") or ()}
        try:
            for run in [run for run in self._runs.values() if run.sent_on is not None and not run.has_events]:
                await self._send_execute(run, socket)
            for key, (_, answer) in list(self._answers.items()):
                if key in pending:
                    await socket.send(json.dumps(answer))
        except ConnectionLostError:
            return  # The reader sees the same and brings the connection back.

    def _dispatch(self, message: Mapping[str, Any], flow: FlowControl, size: int) -> None:
        kind = message["type"]
        reply_to = message.get("id")
        if "seq" in message:
            self._take_event(message, flow, size)
        elif kind == "gap":
            self._take_gap(message["data"])
        elif kind == "problem":
            self._take_problem(message["data"], reply_to)
        elif kind == "session" and message["data"].get("reason") == "purged":
            self._last_seq = 0  # The next life of the session counts from the beginning.
        elif reply_to in self._replies:
            reply = self._replies.pop(reply_to)
            if not reply.done():
                reply.set_result(message)

    def _take_event(self, message: Mapping[str, Any], flow: FlowControl, size: int) -> None:
        event = parse_event(message)
        consumed = flow.arrived(event.seq, size)
        self._last_seq = max(self._last_seq or 0, event.seq)
        run = self._runs.get(event.execution_id)
        if run is None:
            consumed()
        else:
            run.receive(event, consumed)
        self._on_event(event, run)
        if is_terminal(event):
            self._runs.pop(event.execution_id, None)
            self._answers = {key: one for key, one in self._answers.items() if one[0] != event.execution_id}

    def _take_gap(self, data: Mapping[str, Any]) -> None:
        self._last_seq = max(self._last_seq or 0, int(data["to"]))
        for run in self._runs.values():
            if run.has_events and int(data["to"]) > run.last_seq:
                run.collector.is_output_truncated = True

    def _take_problem(self, data: Mapping[str, Any], reply_to: Optional[str]) -> None:
        error = error_of(data)
        run = self._runs.get(reply_to or "")
        if run is not None and not run.has_events:
            self._runs.pop(run.execution_id)
            run.fail(error)
        elif reply_to in self._replies:
            reply = self._replies.pop(reply_to)
            if not reply.done():
                reply.set_exception(error)
        # Any other problem is about an answer that came late or twice; the first one counts.

    # -- sending

    async def _send_execute(self, run: RunState, socket: WebSocket) -> None:
        run.sent_on = socket
        try:
            await socket.send(json.dumps({"type": "execute", **run.message()}))
        except ConnectionLostError:
            return  # It is sent again on the next connection.

    async def _request(self, message: Dict[str, Any]) -> Mapping[str, Any]:
        socket = await self._open()
        reply_to = str(uuid.uuid4())
        reply: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[reply_to] = reply
        try:
            await socket.send(json.dumps({**message, "id": reply_to}))
            return await asyncio.wait_for(reply, self._options.call_seconds)
        finally:
            self._replies.pop(reply_to, None)

    def _answer(self, execution_id: str, key: str, message: Dict[str, Any]) -> None:
        if execution_id in self._runs:
            self._answers[key] = (execution_id, message)
        if self._socket is not None:
            self._socket.send_soon(json.dumps(message))

    def _fail_all(self, error: Exception) -> None:
        runs = list(self._runs.values())
        self._runs.clear()
        for run in runs:
            run.fail(error)
