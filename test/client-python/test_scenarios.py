"""What both clients do over both transports, against the real service; `test_scenario_table.py` runs what every client runs."""

from __future__ import annotations

import asyncio
import socket
import unittest
from typing import Any, ClassVar

from blocking_as_async import BlockingAsAsync
from cutting_proxy import CuttingProxy
from pyrepl3 import (
    AsyncClient,
    ClientClosedError,
    ConnectionLostError,
    ConnectionOptions,
    Display,
    Event,
    ExecutionFailedError,
    InputRequest,
    Output,
)
from pyrepl3.errors import IdempotencyConflictError, InvalidRequestError, NotFoundError
from service import Service


class Scenarios:
    """The table; the classes below say which client runs it."""

    make: ClassVar[Any]
    transport: ClassVar[str]

    async def asyncSetUp(self: Any) -> None:
        # Its debug mode prints every step that a busy machine makes slow.
        asyncio.get_running_loop().set_debug(False)

    def client(self, **options: Any) -> Any:
        return type(self).make(options.pop("url", Service.shared().url), transport=type(self).transport, **options)

    async def test_streams_output_as_it_is_printed(self: Any) -> None:
        pieces: list[tuple[str, str]] = []

        def note_piece(output: Output) -> None:
            pieces.append((output.stream, output.text))

        async with self.client() as client:
            outcome = await client.run(
                "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\n{'k': [1, None]}",
                on_output=note_piece,
            )
        self.assertEqual("".join(text for _, text in pieces), "one\ntwo\nthree\n")
        self.assertEqual((outcome.stdout, outcome.stderr), ("one\nthree\n", "two\n"))
        self.assertEqual(
            (outcome.status, outcome.value, outcome.repr), ("succeeded", {"k": [1, None]}, "{'k': [1, None]}")
        )
        self.assertEqual(outcome.transaction, "committed")
        self.assertIs(outcome.check(), outcome)

    async def test_gives_output_before_the_code_ends(self: Any) -> None:
        async with self.client() as client:
            run = await client.start("print('now', flush=True)\nprint('got', input())")
            seen: list[str] = []
            async for event in run:
                # A busy machine may split the text of one print.
                if seen[-1:] != [event.type]:
                    seen.append(event.type)
                if isinstance(event, InputRequest):
                    self.assertIn("output", seen)
                    run.answer(event, "it")
            outcome = await run.outcome()
        self.assertEqual(outcome.stdout, "now\ngot it\n")
        self.assertEqual(seen, ["output", "input", "output", "result"])

    async def test_answers_input(self: Any) -> None:
        asked: list[InputRequest] = []

        def answer(request: InputRequest) -> str | None:
            asked.append(request)
            return {"Who? ": "Ada", "Password: ": "secret"}.get(request.prompt)

        async with self.client() as client:
            outcome = await client.run(
                "import getpass\nname = input('Who? ')\nsecret = getpass.getpass()\n(name, len(secret))",
                on_input=answer,
            )
            ended = await client.run("input()")
        self.assertEqual(outcome.value, ["Ada", 6])
        self.assertEqual([request.password for request in asked], [False, True])
        self.assertEqual(ended.error.exception_type, "EOFError")

    async def test_tells_an_error_with_its_traceback(self: Any) -> None:
        async with self.client() as client:
            outcome = await client.run("print('before')\ndef f():\n    return 1 / 0\nf()")
        self.assertEqual((outcome.status, outcome.stdout, outcome.has_succeeded), ("failed", "before\n", False))
        self.assertEqual(outcome.error.exception_type, "ZeroDivisionError")
        self.assertEqual(outcome.error.message, "division by zero")
        self.assertIn("return 1 / 0", outcome.error.traceback)
        self.assertEqual((outcome.error.reason, outcome.error.state), ("exception", "kept"))
        with self.assertRaisesRegex(ExecutionFailedError, "ZeroDivisionError") as raised:
            outcome.check()
        self.assertIs(raised.exception.outcome, outcome)

    async def test_interrupts_and_goes_on(self: Any) -> None:
        async with self.client() as client:
            await client.run("kept = 7")
            for stop in ("interrupt", "cancel"):
                run = await client.start("print('on', flush=True)\nwhile True: pass")
                is_stopped = False
                async for event in run:
                    if isinstance(event, Output) and not is_stopped:
                        is_stopped = True
                        await (client.interrupt() if stop == "interrupt" else run.cancel())
                outcome = await run.outcome()
                self.assertEqual(outcome.status, "cancelled")
                self.assertEqual(outcome.error.reason, {"interrupt": "interrupted", "cancel": "cancelled"}[stop])
            self.assertEqual((await client.run("kept")).value, 7)

    async def test_ends_what_takes_too_long_and_keeps_its_output(self: Any) -> None:
        async with self.client() as client:
            outcome = await client.run("print('one')\nwhile True: pass", timeout=2)
            self.assertEqual((outcome.status, outcome.stdout, outcome.error.reason), ("timed_out", "one\n", "timeout"))
            self.assertEqual((await client.run("1 + 1")).value, 2)

    async def test_rolls_back_by_policy(self: Any) -> None:
        async with self.client() as client:
            await client.run("items = [1]; alias = items")
            failed = await client.run("alias.append(2); 1 / 0", policy="rollback_on_failure")
            self.assertEqual((failed.transaction, failed.error.state), ("rolled_back", "rolled_back"))
            tried = await client.run("alias.append(3); items", policy="rollback_always")
            self.assertEqual((tried.transaction, tried.value), ("rolled_back", [1, 3]))
            self.assertEqual((await client.run("items")).value, [1])

    async def test_keeps_all_of_a_transaction_or_none(self: Any) -> None:
        async with self.client() as client:
            await client.run("total = 1")
            async with client.transaction() as kept:
                await client.run("total += 1")
                await client.run("total += 1")
            self.assertEqual((kept.status, (await client.run("total")).value), ("committed", 3))
            async with client.transaction() as failed:
                await client.run("total += 1")
                await client.run("1 / 0")
            self.assertEqual((failed.status, (await client.run("total")).value), ("rolled_back", 3))
            with self.assertRaisesRegex(RuntimeError, "of the caller"):
                async with client.transaction() as raised:
                    await client.run("total += 1")
                    raise RuntimeError("of the caller")
            self.assertEqual((raised.status, (await client.run("total")).value), ("rolled_back", 3))
            async with client.transaction() as asked:
                await client.run("total += 1")
                asked.rollback()
            self.assertEqual((asked.status, (await client.run("total")).value), ("rolled_back", 3))
            self.assertEqual(await client.checkpoints(), [])

    async def test_checkpoints_and_restores(self: Any) -> None:
        async with self.client() as client:
            await client.run("one = 1; f = lambda: 41 + one")
            checkpoint = await client.checkpoint("first")
            self.assertEqual((checkpoint.name, checkpoint.skipped), ("first", []))
            self.assertEqual(await client.get_checkpoint(checkpoint.checkpoint_id), checkpoint)
            self.assertEqual(await client.checkpoints(), [checkpoint])
            await client.run("one = 2; other = 5")
            restored = await client.restore(checkpoint.checkpoint_id)
            self.assertEqual((restored.status, restored.missing), ("restored", []))
            self.assertEqual((await client.run("(f(), 'other' in globals())")).value, [42, False])
            await client.run("one = 2; other = 5")
            await client.restore(checkpoint.checkpoint_id, clear_existing=False)
            self.assertEqual((await client.run("(one, other)")).value, [1, 5])
            await client.delete_checkpoint(checkpoint.checkpoint_id)
            with self.assertRaises(NotFoundError) as raised:
                await client.restore(checkpoint.checkpoint_id)
            self.assertEqual((raised.exception.code, raised.exception.status), ("not_found", 404))

    async def test_loses_and_doubles_nothing_when_cut_mid_output(self: Any) -> None:
        with CuttingProxy(Service.shared().port, cut_after=150_000, cuts=4) as proxy:
            async with self.client(url=proxy.url) as client:
                seqs: list[int] = []

                def note_seq(event: Event) -> None:
                    seqs.append(event.seq)

                outcome = await client.run(
                    "ran = globals().get('ran', 0) + 1\nfor i in range(40_000): print(i, '.' * 20)\nran",
                    on_event=note_seq,
                )
                self.assertEqual(outcome.stdout, "".join(f"{i} {'.' * 20}\n" for i in range(40_000)))
                self.assertEqual((outcome.value, outcome.is_output_truncated), (1, False))
                self.assertEqual(seqs, sorted(set(seqs)))
                self.assertEqual(proxy.cut_count, 4)
                self.assertEqual((await client.run("ran")).value, 1)

    async def test_answers_an_input_across_a_cut(self: Any) -> None:
        with CuttingProxy(Service.shared().port, cut_after=1 << 40) as proxy:
            async with self.client(url=proxy.url) as client:
                run = await client.start("a = input('a')\nb = input('b')\na + b")
                async for event in run:
                    if isinstance(event, InputRequest):
                        proxy.cut()
                        run.answer(event, event.prompt)
                self.assertEqual((await run.outcome()).value, "ab")

    async def test_runs_an_id_once(self: Any) -> None:
        async with self.client() as client:
            await client.run("n = 0")
            first = await client.run("n += 1; n", execution_id="once")
            again = await client.run("n += 1; n", execution_id="once")
            self.assertEqual((first.value, again.value), (1, 1))
            with self.assertRaises(IdempotencyConflictError):
                await client.run("n += 2", execution_id="once")
            self.assertEqual((await client.run("n")).value, 1)

    async def test_comes_back_to_an_execution_by_its_id(self: Any) -> None:
        async with self.client() as client:
            run = await client.start("print('first', flush=True)\nprint(input())")
            async for event in run:
                if isinstance(event, Output):
                    break
            client_id, execution_id = client.client_id, run.execution_id
        async with self.client(client_id=client_id) as client:
            run = await client.resume(execution_id)
            async for event in run:
                if isinstance(event, InputRequest):
                    run.answer(event, "second")
            self.assertEqual((await run.outcome()).stdout, "first\nsecond\n")
            self.assertEqual((await client.execution(execution_id)).status, "succeeded")
            self.assertEqual((await client.executions(limit=1)).executions[0].execution_id, execution_id)

    async def test_shows_rich_values(self: Any) -> None:
        shown: list[str] = []

        def note_display(display: Display) -> None:
            shown.append(display.mime["text/html"])

        code = "class Rich:\n    def _repr_html_(self): return '<b>x</b>'\ndisplay(Rich())\nRich()"
        async with self.client() as client:
            outcome = await client.run(code, on_display=note_display)
        self.assertEqual((shown, outcome.displays[0].mime["text/html"]), (["<b>x</b>"], "<b>x</b>"))
        self.assertEqual(outcome.mime["text/html"], "<b>x</b>")

    async def test_runs_what_is_submitted_together_in_turn(self: Any) -> None:
        async with self.client() as client:
            await client.run("seen = []")
            runs = [await client.start(f"seen.append({i}); print({i}); seen") for i in range(5)]
            outcomes = [await run.outcome() for run in runs]
        self.assertEqual([outcome.stdout for outcome in outcomes], [f"{i}\n" for i in range(5)])
        self.assertEqual(outcomes[-1].value, [0, 1, 2, 3, 4])

    async def test_does_not_let_an_abandoned_run_hold_back_the_next(self: Any) -> None:
        async with self.client() as client:
            run = await client.start("for _ in range(5): print('x' * 999_999)\n1")
            async for _ in run:
                break
            run.detach()
            self.assertEqual((await client.run("'next'")).value, "next")

    async def test_cancels_the_code_when_a_callback_raises(self: Any) -> None:
        def refuse(output: Output) -> None:
            raise RuntimeError(output.text)

        async with self.client() as client:
            with self.assertRaisesRegex(RuntimeError, "go"):
                await client.run("print('go', flush=True)\nwhile True: pass", on_output=refuse)
            self.assertEqual((await client.run("6 * 7")).value, 42)

    async def test_looks_after_sessions(self: Any) -> None:
        async with self.client(session="one") as client:
            await client.run("alphabet = 1")
            self.assertEqual((await client.overview()).session, "one")
            self.assertEqual([session.session for session in await client.sessions()], ["one"])
            self.assertIn("alphabet", (await client.complete("alphab")).matches)
            self.assertEqual((await client.is_complete("def f():")).status, "incomplete")
            self.assertEqual((await client.reset()).session, "one")
            self.assertEqual((await client.run("'alphabet' in globals()")).value, False)
            self.assertIn("version", (await client.capabilities())["python"])
            await client.end(purge=True)
            self.assertEqual((await client.run("'again'")).value, "again")

    async def test_raises_what_the_service_says(self: Any) -> None:
        async with self.client() as client:
            with self.assertRaises(InvalidRequestError) as raised:
                await client.run("1", timeout=10_000)
            self.assertEqual(raised.exception.status, 400)
            self.assertIn("timeout", str(raised.exception))
        async with self.client(client_id="not a client id") as client:
            with self.assertRaisesRegex(Exception, "client_id_invalid"):
                await client.run("1")

    async def test_says_when_the_service_is_not_there(self: Any) -> None:
        with CuttingProxy(1, cut_after=0) as proxy:
            async with self.client(url=proxy.url) as client:
                with self.assertRaises(ConnectionLostError):
                    await client.run("1")
                with self.assertRaises(ConnectionLostError):
                    await client.overview()

    async def test_ends_a_call_that_the_service_never_answers_when_it_is_closed(self: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client = self.client(url=f"http://127.0.0.1:{silent.getsockname()[1]}")
            call = asyncio.ensure_future(client.run("1"))
            connection, _ = await asyncio.to_thread(silent.accept)
            with connection:
                await client.close()
                with self.assertRaises(ClientClosedError):
                    await asyncio.wait_for(call, 10)

    async def test_gives_up_a_connection_that_does_not_come_back(self: Any) -> None:
        with CuttingProxy(Service.shared().port, cut_after=1 << 40) as proxy:
            async with self.client(url=proxy.url, options=ConnectionOptions(reconnect_seconds=0.5)) as client:
                run = await client.start("print('on', flush=True)\ninput()")
                with self.assertRaises(ConnectionLostError):
                    async for event in run:
                        if isinstance(event, Output):
                            proxy.stop()

    async def test_takes_little_where_the_reader_is_slow(self: Any) -> None:
        options = ConnectionOptions(window_bytes=128 * 1024)
        async with self.client(options=options) as client:
            run = await client.start("import time\nfor i in range(200): print('x' * 99_999)\ntime.time()")
            first = await anext(aiter(run))
            self.assertIsInstance(first, Output)
            # A run that nobody reads holds back Python: it must not have ended by itself.
            await asyncio.sleep(1)
            self.assertEqual((await client.execution(run.execution_id)).status, "running")
            self.assertEqual(len((await run.outcome()).stdout), 20_000_000)


class BlockingOverSocket(Scenarios, unittest.IsolatedAsyncioTestCase):
    """`Client`, WebSocket."""

    make = BlockingAsAsync
    transport = "websocket"


class BlockingOverRest(Scenarios, unittest.IsolatedAsyncioTestCase):
    """`Client`, REST alone."""

    make = BlockingAsAsync
    transport = "rest"


class AsyncOverSocket(Scenarios, unittest.IsolatedAsyncioTestCase):
    """`AsyncClient`, WebSocket."""

    make = AsyncClient
    transport = "websocket"


class AsyncOverRest(Scenarios, unittest.IsolatedAsyncioTestCase):
    """`AsyncClient`, REST alone."""

    make = AsyncClient
    transport = "rest"
