"""A small client written with aiohttp, and its two tests, against the service as it is."""

from __future__ import annotations

import asyncio
import unittest
import uuid
from collections.abc import AsyncIterator
from typing import Any

from needs import needs
from pyrepl3 import PyREPL3Client
from service import Service


class AiohttpClient:
    """The client as its first user wrote it: `execute` over REST, `stream_execute` over a socket of its own."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.client_id = str(uuid.uuid4())

    async def execute(self, code: str) -> Any:
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.base_url}/api/v1/execute", json={"code": code}, headers={"client-id": self.client_id}
            ) as response,
        ):
            return await response.json()

    async def stream_execute(self, code: str) -> AsyncIterator[Any]:
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.base_url}/ws/v1/session", headers={"client-id": self.client_id}) as ws,
        ):
            await ws.send_json({"type": "execute", "code": code})
            async for msg in ws:
                if msg.type == aiohttp.WSMsgType.TEXT:
                    yield msg.json()


@needs("aiohttp")
class AiohttpClientTest(unittest.IsolatedAsyncioTestCase):
    """What its first user expects."""

    async def asyncSetUp(self) -> None:
        # Its debug mode prints every step that a busy machine makes slow.
        asyncio.get_running_loop().set_debug(False)

    async def test_websocket_execution(self) -> None:
        import aiohttp

        url = Service.shared().url.replace("http", "ws")
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws/v1/session") as ws:
            for code, text in (("print('Hello'); x = 42", "Hello\n"), ("print(x * 2)", "84\n")):
                await ws.send_json({"type": "execute", "code": code})
                printed = ""
                while (msg := await ws.receive_json())["type"] == "output":
                    printed += msg["data"]["data"]
                self.assertEqual((printed, msg["type"]), (text, "result"))

    async def test_rest_checkpoint(self) -> None:
        import aiohttp

        url = f"{Service.shared().url}/api/v1"
        headers = {"client-id": str(uuid.uuid4())}
        async with aiohttp.ClientSession(headers=headers) as client:
            await client.post(f"{url}/execute", json={"code": "x = 100"})
            response = await client.post(f"{url}/checkpoint")
            checkpoint_id = (await response.json())["checkpoint_id"]
            response = await client.post(f"{url}/restore/{checkpoint_id}")
            self.assertEqual((await response.json())["status"], "restored")

    async def test_a_socket_opened_after_a_post_gets_its_own_messages_only(self) -> None:
        for _ in range(5):
            client = AiohttpClient(Service.shared().url)
            accepted = await client.execute("print('from the post')")
            self.assertEqual(accepted["status"], "running")
            printed = ""
            # A message carries any piece of the text: the line and its newline can come in two.
            async for message in client.stream_execute("print('from the socket')"):
                if message["type"] != "output":
                    break
                printed += message["data"]["data"]
            self.assertEqual(printed, "from the socket\n")


class PackagedClientTest(unittest.IsolatedAsyncioTestCase):
    """The same two methods in the package, without aiohttp."""

    async def test_executes_and_streams(self) -> None:
        client = PyREPL3Client(Service.shared().url)
        accepted = await client.execute("x = 42")
        self.assertEqual(accepted["status"], "running")
        messages = [message async for message in client.stream_execute("print('Hello'); x * 2")]
        printed = "".join(message["data"]["data"] for message in messages[:-1])
        self.assertEqual((printed, messages[-1]["type"]), ("Hello\n", "result"))
        self.assertEqual(messages[-1]["data"]["value"], 84)
