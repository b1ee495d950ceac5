"""Functions of the caller that code in the session calls, through both clients against the real service."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any, ClassVar, Literal

from blocking_as_async import BlockingAsAsync
from cutting_proxy import CuttingProxy
from pyrepl3 import AsyncClient, Tool
from pyrepl3.errors import InvalidRequestError
from service import Service


class Tools:
    """The table; the classes below say which client runs it."""

    make: ClassVar[Any]
    transport: ClassVar[str]

    async def asyncSetUp(self: Any) -> None:
        # Its debug mode prints every step that a busy machine makes slow.
        asyncio.get_running_loop().set_debug(False)

    def client(self, url: str = "") -> Any:
        return type(self).make(url or Service.shared().url, transport=type(self).transport)

    async def test_calls_a_decorated_function_and_returns_its_value(self: Any) -> None:
        async with self.client() as client:

            @client.tool
            def search(query: str, limit: int = 2) -> list[str]:
                """Search for a word."""
                return [query] * limit

            self.assertEqual(search("x", 1), ["x"])
            outcome = await client.run("import tools\ntools.search('a'), tools.search(query='b', limit=1)")
            self.assertEqual(outcome.value, [["a", "a"], ["b"]])
            self.assertEqual([call["status"] for call in outcome.tool_calls], ["ok", "ok"])
            described = await client.run("tools.describe('search')['description']")
            self.assertEqual(described.value, "Search for a word.")

    async def test_tells_the_service_name_description_and_schema(self: Any) -> None:
        async with self.client() as client:

            @client.tool(name="get-unit", description="Names a unit", inject=True)
            def unit(of: Literal["length", "mass"]) -> str:
                return {"length": "m", "mass": "kg"}[of]

            del unit
            self.assertEqual((await client.run("get_unit(of='mass')")).value, "kg")
            schema = (await client.run("import tools; tools.describe('get-unit')['input_schema']")).value
            self.assertEqual(schema["properties"], {"of": {"enum": ["length", "mass"]}})
            self.assertEqual(schema["required"], ["of"])

    async def test_raises_in_the_session_what_the_function_raises(self: Any) -> None:
        def divide(by: int) -> float:
            return 1 / by

        code = (
            "import tools\ntry: tools.divide(by=0)\nexcept tools.ToolError as error: print(error.type, error.message)"
        )
        async with self.client() as client:
            outcome = await client.run(code, tools=[divide])
            self.assertEqual(outcome.stdout, "ZeroDivisionError division by zero\n")
            self.assertEqual(outcome.tool_calls[0]["status"], "error")
            # Of that run alone.
            gone = await client.run("tools.divide(by=1)")
            self.assertIsNotNone(gone.error)

    async def test_answers_calls_made_at_once_and_holds_their_limit(self: Any) -> None:
        def double(number: int) -> int:
            return 2 * number

        code = (
            "import asyncio, tools\n"
            "async def all(): return await asyncio.gather(*[tools.aio.double(number=i) for i in range(20)])\n"
            "sum(await all())"
        )
        async with self.client() as client:
            self.assertEqual((await client.run(code, tools=[double], max_parallel_tool_calls=4)).value, 380)
            refused = await client.run(code, tools=[double], max_tool_calls=3)
            self.assertEqual(refused.error.exception_type, "ToolError")

    async def test_refuses_a_schema_that_is_none(self: Any) -> None:
        wrong = Tool("wrong", lambda: None, input_schema={"type": 7})
        async with self.client() as client:
            with self.assertRaises(InvalidRequestError):
                await client.run("1", tools=[wrong])

    async def test_loses_no_answer_when_the_connection_is_cut(self: Any) -> None:
        calls: list[int] = []
        with CuttingProxy(Service.shared().port, cut_after=1 << 40) as proxy:

            def fetch(number: int) -> int:
                calls.append(number)
                proxy.cut()
                return number + 1

            async with self.client(proxy.url) as client:
                outcome = await client.run("import tools\n[tools.fetch(number=i) for i in range(3)]", tools=[fetch])
        self.assertEqual((outcome.value, calls), ([1, 2, 3], [0, 1, 2]))


class BlockingOverSocket(Tools, unittest.IsolatedAsyncioTestCase):
    """`Client`, WebSocket."""

    make = BlockingAsAsync
    transport = "websocket"


class AsyncOverSocket(Tools, unittest.IsolatedAsyncioTestCase):
    """`AsyncClient`, WebSocket."""

    make = AsyncClient
    transport = "websocket"

    async def test_awaits_a_coroutine_function(self) -> None:
        async with self.client() as client:
            started = asyncio.Event()

            @client.tool
            async def wait() -> str:
                started.set()
                await asyncio.sleep(0)
                return "waited"

            del wait
            self.assertEqual((await client.run("import tools; tools.wait()")).value, "waited")
            self.assertTrue(started.is_set())


class AsyncOverRest(Tools, unittest.IsolatedAsyncioTestCase):
    """`AsyncClient`, REST alone."""

    make = AsyncClient
    transport = "rest"
