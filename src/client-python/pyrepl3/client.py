"""Owns the blocking client."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any, Callable, Coroutine, Dict, Optional, Sequence, Set, TypeVar, Union, overload

from . import calls
from .address import Address, Token, Traceparent
from .async_client import AsyncClient
from .blocking_calls import BlockingCalls
from .errors import PyREPL3Error
from .files import Files
from .http_call import Call, make_call
from .loop_thread import LoopThread
from .outcome import Outcome
from .run import Run
from .run_options import Callbacks, OnAnyEvent, OnDisplay, OnInput, OnOutput
from .tool_box import Tool, ToolFunction
from .transaction import Transaction
from .transport import ConnectionOptions

T = TypeVar("T")
F = TypeVar("F", bound=ToolFunction)


class Client(BlockingCalls):
    r"""One client's session; `AsyncClient` is the same for asyncio.

    Args:
        url: the service, such as `http://127.0.0.1:8787`.
        client_id: who calls; a new UUID where absent. The same id comes back to the same session.
        token: the bearer token, or a function that returns one.
        session: which of the client's sessions.
        transport: `websocket`, `rest` (no socket at all), or `auto`: REST where something between refuses the socket.
        tls: TLS settings; Python's defaults where absent.
        options: windows and deadlines.
        traceparent: the W3C trace that the calls belong to, or a function that returns that of the moment.

    >>> from pyrepl3 import Client
    >>> with Client("http://127.0.0.1:8787") as client:
    ...     outcome = client.run("print('Hello'); 6 * 7")
    >>> outcome.stdout, outcome.value
    ('Hello\n', 42)
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
        self._address = Address(url, client_id=client_id, token=token, tls=tls, traceparent=traceparent)
        self._inner = AsyncClient(
            url,
            client_id=self._address.client_id,
            token=token,
            session=session,
            transport=transport,
            tls=tls,
            options=options,
        )
        self._kind = transport
        self.session_name = session
        self.options = self._inner.options
        self.files = Files(self)
        self._thread = LoopThread()
        self._transactions: Set[Transaction] = set()

    @property
    def client_id(self) -> str:
        """Who calls."""
        return self._address.client_id

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the session stays, and what runs in it goes on."""
        self._thread.close(self._inner.close)

    def session(self, name: str) -> Client:
        """Return a client for another session of the same client id; it is to be closed by itself.

        >>> from pyrepl3 import Client
        >>> with Client("http://127.0.0.1:8787") as client, client.session("other") as other:
        ...     _ = client.run("x = 1")
        ...     other.run("'x' in globals()").value
        False
        """
        return Client(
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

    def run(
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
        """Run code to its end. Code that fails raises nothing here: see `Outcome.error` and `Outcome.check`.

        Args:
            code: Python.
            on_output: is given each piece of output as it comes.
            on_input: is given each `input()` and returns the line, or None for end of file (also where it is absent).
            on_display: is given each rich value as it comes.
            on_event: is given every event.
            timeout: seconds, after which the code is interrupted.
            policy: `commit_always`, `rollback_on_failure` or `rollback_always`.
            tools: functions that this code alone may call, beside those of `Client.tool`.
            execution_id: an id that was used before with the same code is not run again; its outcome comes again.
            report_files: report the changed files in `Outcome.files`.
            max_tool_calls: how many tool calls the code may make.
            max_parallel_tool_calls: how many of them at once.
            traceparent: the W3C trace that this execution belongs to, in place of the client's.

        Raises:
            ServiceError: the service refused the execution.
            ConnectionLostError: the service cannot be reached, or not again in time. What runs goes on; see `resume`.

        >>> from pyrepl3 import Client
        >>> with Client("http://127.0.0.1:8787") as client:
        ...     outcome = client.run("name = input('Who? ')", on_input=lambda request: "Ada")
        ...     client.run("print('Hello', name); 1 / 0").error.exception_type
        'ZeroDivisionError'
        """
        run = self.start(
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
        return run.outcome(Callbacks(on_output, on_display, on_input, on_event))

    def start(
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
    ) -> Run:
        """Submit code and return while it runs; iterate over the run for its events."""
        # The function may read what belongs to this thread, so it is asked here.
        trace = self._address.trace() if traceparent is None else traceparent
        state = self.in_loop(
            lambda: self._inner.begin(
                code,
                timeout=timeout,
                policy=policy,
                tools=tools,
                execution_id=execution_id,
                report_files=report_files,
                max_tool_calls=max_tool_calls,
                max_parallel_tool_calls=max_parallel_tool_calls,
                traceparent=trace,
            )
        )
        return Run(self, state)

    def resume(self, execution_id: str) -> Run:
        r"""Return an execution submitted earlier, by whomever: its events come from the first one on, as far as kept.

        >>> from pyrepl3 import Client
        >>> with Client("http://127.0.0.1:8787", client_id="doc-resume") as client:
        ...     execution_id = client.start("print('still here')").execution_id
        >>> with Client("http://127.0.0.1:8787", client_id="doc-resume") as client:
        ...     client.resume(execution_id).outcome().stdout
        'still here\n'
        """
        return Run(self, self.in_loop(lambda: self._inner.follow(execution_id)))

    def install(self, *requirements: str, on_output: Optional[OnOutput] = None) -> Outcome:
        """Install packages into the session, such as `requests==2.32.0`; a failure is in the outcome's `error`."""
        accepted = self.make(calls.packages(self.session_name, requirements))
        return self.resume(str(accepted["execution_id"])).outcome(Callbacks(on_output=on_output))

    def transaction(self) -> Transaction:
        """Return a block that keeps all of its changes or none.

        If the block raises, or code in it fails, the session is as it was before the block.

        >>> from pyrepl3 import Client
        >>> with Client("http://127.0.0.1:8787") as client:
        ...     _ = client.run("total = 1")
        ...     with client.transaction() as transaction:
        ...         _ = client.run("total += 1")
        ...         _ = client.run("total / 0")
        ...     transaction.status, client.run("total").value
        ('rolled_back', 1)
        """
        return Transaction(self, self._transactions)

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
        """Offer a function to code in the session, which calls it as `tools.NAME(…)` after `import tools`.

        It runs here, in a thread of its own for each call; what it returns must be JSON, and what it raises is raised
        there as `tools.ToolError`. Name, description and arguments come from the function, unless the decorator says
        otherwise. The service is told at the next execution.

            @client.tool
            def search(query: str, limit: int = 10) -> list:
                "Search the shop."
                return shop.search(query)[:limit]

            client.run("import tools; tools.search(query='tea')")
        """
        if function is None:
            return self._inner.tool(**options)
        return self._inner.tool(function)

    # -- for the parts of this package

    def make(self, call: Call[T]) -> T:
        return make_call(self._address, call, self.options.call_seconds)

    def in_loop(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine where the connection lives."""
        return self._thread.call(make)

    def answer_input(self, execution_id: str, input_id: str, value: Optional[str]) -> None:
        """Send the answer of an `input()`."""
        self._thread.post(lambda: self._inner.answer_input(execution_id, input_id, value))

    def note(self, outcome: Outcome) -> None:
        """Tell the transactions that are open how an execution ended."""
        for transaction in self._transactions:
            transaction.note(outcome)

    def abandon(self, run: Run) -> None:
        """Cancel an execution whose reader is gone."""
        run.detach()
        # The reader's own exception is the news; that there is nothing to cancel any more is none.
        with contextlib.suppress(PyREPL3Error):
            self.cancel(run.execution_id)
