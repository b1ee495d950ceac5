"""Owns the client for asyncio."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Callable, Dict, Optional, Sequence, Set, TypeVar, Union, overload

from . import calls
from .address import Address, Token, Traceparent
from .async_calls import AsyncCalls
from .async_run import AsyncRun
from .async_transaction import AsyncTransaction
from .files import AsyncFiles
from .http_call import Call, make_call
from .http_runs import HttpRuns
from .outcome import Outcome
from .run_options import Callbacks, OnAnyEvent, OnDisplay, OnInput, OnOutput, run_state_of
from .run_state import RunState
from .session_socket import SessionSocket
from .tool_box import Tool, ToolBox, ToolFunction, tool_of
from .tool_desk import ToolDesk
from .transport import ConnectionOptions, Transport
from .websocket import UpgradeRefusedError

T = TypeVar("T")
F = TypeVar("F", bound=ToolFunction)


class AsyncClient(AsyncCalls):
    """One client's session, for asyncio; `Client` is the same without it.

    Args:
        url: the service, such as `http://127.0.0.1:8787`.
        client_id: who calls; a new UUID where absent. The same id comes back to the same session.
        token: the bearer token, or a function that returns one.
        session: which of the client's sessions.
        transport: `websocket`, `rest` (no socket at all), or `auto`: REST where something between refuses the socket.
        tls: TLS settings; Python's defaults where absent.
        options: windows and deadlines.
        traceparent: the W3C trace that the calls belong to, or a function that returns that of the moment.

    >>> import asyncio
    >>> from pyrepl3 import AsyncClient
    >>> async def main():
    ...     async with AsyncClient("http://127.0.0.1:8787") as client:
    ...         outcome = await client.run("print('Hello'); 6 * 7", on_output=lambda output: print(output.text, end=""))
    ...         return outcome.value
    >>> asyncio.run(main())
    Hello
    42
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: Optional[str] = None,
        token: Token = None,
        session: str = "default",
        transport: str = "auto",
        tls: Optional[ssl.SSLContext] = None,
        options: Optional[ConnectionOptions] = None,
        traceparent: Traceparent = None,
    ) -> None:
        if transport not in ("auto", "websocket", "rest"):
            raise ValueError(f"transport must be auto, websocket or rest: {transport!r}")
        self._address = Address(url, client_id=client_id, token=token, tls=tls, traceparent=traceparent)
        self.session_name = session
        self.options = options or ConnectionOptions()
        self.files = AsyncFiles(self)
        self._kind = transport
        self._box = ToolBox()
        self._told_tools = 0
        self._desk = ToolDesk(self._box, self._send_tool_answer)
        self._transport: Optional[Transport] = None
        self._resumed: Optional[HttpRuns] = None
        self._over_rest: Set[str] = set()
        self._transactions: Set[AsyncTransaction] = set()
        self._tasks: Set[asyncio.Task[Any]] = set()

    @property
    def client_id(self) -> str:
        """Who calls."""
        return self._address.client_id

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the session stays, and what runs in it goes on."""
        self._desk.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in (self._transport, self._resumed):
            if transport is not None:
                await transport.close()

    def session(self, name: str) -> AsyncClient:
        """Return a client for another session of the same client id; it is to be closed by itself."""
        return AsyncClient(
            self._address.url,
            client_id=self._address.client_id,
            token=self._address.token,
            session=name,
            transport=self._kind,
            tls=self._address.tls,
            options=self.options,
            traceparent=self._address.traceparent,
        )

    # -- running code

    async def run(
        self,
        code: str,
        *,
        on_output: Optional[OnOutput] = None,
        on_input: Optional[OnInput] = None,
        on_display: Optional[OnDisplay] = None,
        on_event: Optional[OnAnyEvent] = None,
        timeout: Optional[float] = None,
        policy: Optional[str] = None,
        tools: Sequence[Union[ToolFunction, Tool]] = (),
        execution_id: Optional[str] = None,
        report_files: bool = False,
        max_tool_calls: Optional[int] = None,
        max_parallel_tool_calls: Optional[int] = None,
        traceparent: Optional[str] = None,
    ) -> Outcome:
        """Run code to its end. `Client.run` describes the arguments, which are the same."""
        run = await self.start(
            code,
            timeout=timeout,
            policy=policy,
            tools=tools,
            execution_id=execution_id,
            report_files=report_files,
            max_tool_calls=max_tool_calls,
            max_parallel_tool_calls=max_parallel_tool_calls,
            traceparent=traceparent,
        )
        return await run.outcome(Callbacks(on_output, on_display, on_input, on_event))

    async def start(
        self,
        code: str,
        *,
        timeout: Optional[float] = None,
        policy: Optional[str] = None,
        tools: Sequence[Union[ToolFunction, Tool]] = (),
        execution_id: Optional[str] = None,
        report_files: bool = False,
        max_tool_calls: Optional[int] = None,
        max_parallel_tool_calls: Optional[int] = None,
        traceparent: Optional[str] = None,
    ) -> AsyncRun:
        """Submit code and return while it runs; iterate over the run for its events."""
        state = await self.begin(
            code,
            execution_id=execution_id,
            timeout=timeout,
            policy=policy,
            tools=tools,
            report_files=report_files,
            max_tool_calls=max_tool_calls,
            max_parallel_tool_calls=max_parallel_tool_calls,
            traceparent=self._address.trace() if traceparent is None else traceparent,
        )
        return AsyncRun(self, state)

    async def resume(self, execution_id: str) -> AsyncRun:
        """Return an execution submitted earlier, by whomever: its events come from the first one on, as far as kept."""
        return AsyncRun(self, await self.follow(execution_id))

    async def install(self, *requirements: str, on_output: Optional[OnOutput] = None) -> Outcome:
        """Install packages into the session, such as `requests==2.32.0`; a failure is in the outcome's `error`."""
        accepted = await self.make(calls.packages(self.session_name, requirements))
        run = await self.resume(str(accepted["execution_id"]))
        return await run.outcome(Callbacks(on_output=on_output))

    def transaction(self) -> AsyncTransaction:
        """Return a block that keeps all of its changes or none; see `Client.transaction`."""
        return AsyncTransaction(self, self._transactions)

    # -- tools

    @overload
    def tool(self, function: F, /) -> F: ...

    @overload
    def tool(
        self,
        /,
        *,
        name: Optional[str] = None,
        description: Optional[str] = None,
        input_schema: Optional[Dict[str, Any]] = None,
        output_schema: Optional[Dict[str, Any]] = None,
        timeout: Optional[float] = None,
        inject: Optional[bool] = None,
    ) -> Callable[[F], F]: ...

    def tool(self, function: Optional[ToolFunction] = None, /, **options: Any) -> Any:
        """Offer a function to code in the session; see `Client.tool`. A coroutine function is awaited."""

        def register(function: ToolFunction) -> ToolFunction:
            self._box.add(tool_of(function, **options))
            return function

        return register if function is None else register(function)

    # -- for the parts of this package

    async def make(self, call: Call[T]) -> T:
        return await asyncio.to_thread(make_call, self._address, call, self.options.call_seconds)

    async def begin(self, code: str, **options: Any) -> RunState:
        """Submit code."""
        state = run_state_of(code, **options)
        await self._tell_tools()
        await self._with_transport(lambda transport: transport.submit(state))
        return state

    async def follow(self, execution_id: str) -> RunState:
        """Read the events of an execution that is there."""
        state = RunState(execution_id, None, ToolBox())
        if self._resumed is None:
            self._resumed = HttpRuns(self._address, self.session_name, self.options, self._desk.handle)
        self._over_rest.add(execution_id)
        await self._resumed.submit(state)
        return state

    def answer_input(self, execution_id: str, input_id: str, value: Optional[str]) -> None:
        """Send the answer of an `input()`."""
        self._transport_of(execution_id).answer_input(execution_id, input_id, value)

    def note(self, outcome: Outcome) -> None:
        """Tell the transactions that are open how an execution ended."""
        for transaction in self._transactions:
            transaction.note(outcome)

    def abandon(self, run: AsyncRun) -> None:
        """Cancel an execution whose reader is gone, without waiting for it."""
        run.detach()
        task = asyncio.ensure_future(self.cancel(run.execution_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # The reader's own exception is the news; that there is nothing to cancel any more is none.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _tell_tools(self) -> None:
        version = self._box.version
        if version != self._told_tools:
            await self._with_transport(lambda transport: transport.set_tools(self._box.declarations()))
            self._told_tools = version

    async def _with_transport(self, use: Callable[[Transport], Any]) -> None:
        if self._transport is None:
            kind = HttpRuns if self._kind == "rest" else SessionSocket
            self._transport = kind(self._address, self.session_name, self.options, self._desk.handle)
        try:
            await use(self._transport)
        except UpgradeRefusedError:
            if self._kind != "auto" or isinstance(self._transport, HttpRuns):
                raise
            await self._transport.close()
            self._transport = HttpRuns(self._address, self.session_name, self.options, self._desk.handle)
            await use(self._transport)

    def _transport_of(self, execution_id: str) -> Transport:
        transport = self._resumed if execution_id in self._over_rest else self._transport
        if transport is None:
            raise RuntimeError(f"the execution {execution_id} is not one of this client")
        return transport

    def _send_tool_answer(self, execution_id: str, call_id: str, result: Dict[str, Any]) -> None:
        self._transport_of(execution_id).answer_tool(execution_id, call_id, result)
