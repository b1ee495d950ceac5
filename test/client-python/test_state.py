"""Settings, branches and undo of a session, through both clients against the real service."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any, ClassVar

from blocking_as_async import BlockingAsAsync
from pyrepl3 import AsyncClient
from pyrepl3.errors import InvalidRequestError, SessionExistsError, UndoUnavailableError
from service import Service


class State:
    """The table; the classes below say which client runs it."""

    make: ClassVar[Any]

    async def asyncSetUp(self: Any) -> None:
        # Its debug mode prints every step that a busy machine makes slow.
        asyncio.get_running_loop().set_debug(False)

    def client(self, **options: Any) -> Any:
        return type(self).make(Service.shared().url, **options)

    async def test_sets_environment_variables_and_the_time_of_rest(self: Any) -> None:
        read = "import os; os.environ.get('PLACE')"
        async with self.client() as client:
            made = await client.configure(env={"PLACE": "here"}, idle_seconds=60)
            self.assertEqual((made.session, made.env_names), ("default", ["PLACE"]))
            self.assertEqual((await client.run(read)).value, "here")
            changed = await client.configure(env={"PLACE": None})
            self.assertEqual(changed.env_names, [])
            self.assertIsNone((await client.run(read)).value)
            names = [one.name for one in await client.environments() if one.default]
            self.assertEqual(names, [(await client.overview()).environment])
            with self.assertRaisesRegex(InvalidRequestError, "environment: names no environment"):
                await client.configure(environment="none-of-ours")

    async def test_lists_the_names_of_the_session(self: Any) -> None:
        async with self.client() as client:
            await client.run("number = 7\ndef function(): pass")
            seen = {one.name: (one.type, one.is_callable) for one in await client.variables()}
            self.assertEqual(seen, {"number": ("int", False), "function": ("function", True)})

    async def test_undoes_the_last_execution_and_one_before_it(self: Any) -> None:
        async with self.client() as client:
            # With this policy each execution has a copy, also if they follow each other at once.
            policy = "rollback_on_failure"
            first, second, third = [await client.run(f"x = {value}", policy=policy) for value in (1, 2, 3)]
            undone = await client.undo()
            self.assertEqual((undone.status, undone.execution_id), ("restored", third.execution_id))
            self.assertEqual((await client.run("x", policy=policy)).value, 2)
            await client.undo(second.execution_id)
            self.assertEqual((await client.run("x")).value, 1)
            await client.reset()
            with self.assertRaises(UndoUnavailableError):
                await client.undo(first.execution_id)

    async def test_branches_the_state_of_now_and_of_a_checkpoint(self: Any) -> None:
        async with self.client() as client:
            await client.run("x = 1")
            saved = await client.checkpoint()
            await client.run("x = 2")
            made = await client.branch("now")
            self.assertEqual((made.from_session, made.overview.session, made.missing), ("default", "now", []))
            await client.branch("before", checkpoint_id=saved.checkpoint_id)
            for name, value in (("now", 2), ("before", 1)):
                async with self.client(client_id=client.client_id, session=name) as other:
                    self.assertEqual((await other.run("x += 10; x")).value, value + 10)
            self.assertEqual((await client.run("x")).value, 2)
            with self.assertRaises(SessionExistsError):
                await client.branch("now")


class BlockingState(State, unittest.IsolatedAsyncioTestCase):
    """`Client`."""

    make = BlockingAsAsync


class AsyncState(State, unittest.IsolatedAsyncioTestCase):
    """`AsyncClient`."""

    make = AsyncClient
