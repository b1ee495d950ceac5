"""The scenarios that every client runs (`test/clients/scenarios.json`), through both clients of the package."""

from __future__ import annotations

import asyncio
import hashlib
import json
import unittest
from typing import Any, ClassVar

from blocking_as_async import BlockingAsAsync
from cutting_proxy import CuttingProxy
from pyrepl3 import AsyncClient, InputRequest, Outcome, Output
from service import ROOT, Service

_SCENARIOS: list[dict[str, Any]] = json.loads((ROOT / "test/clients/scenarios.json").read_text())
_KNOWN = {"run", "timeout", "policy", "inputs", "interruptAfterOutput", "cutAfterChars", "expect"}


class Table:
    """The table; the classes below say which client runs it."""

    make: ClassVar[Any]

    async def asyncSetUp(self: Any) -> None:
        # Its debug mode prints every step that a busy machine makes slow.
        asyncio.get_running_loop().set_debug(False)

    async def test_every_scenario(self: Any) -> None:
        self.assertGreater(len(_SCENARIOS), 8)
        for scenario in _SCENARIOS:
            with self.subTest(scenario["name"]):
                await self.play(scenario["steps"])

    async def play(self: Any, steps: list[dict[str, Any]]) -> None:
        checkpoints: dict[str, str] = {}
        with CuttingProxy(Service.shared().port, cut_after=1 << 40) as proxy:
            async with type(self).make(proxy.url) as client:
                for step in steps:
                    if "checkpoint" in step:
                        made = await client.checkpoint(step["checkpoint"])
                        checkpoints[step["checkpoint"]] = made.checkpoint_id
                    elif "restore" in step:
                        await client.restore(checkpoints[step["restore"]])
                    else:
                        self.assertLessEqual(set(step), _KNOWN)
                        self.check(await self.run_step(client, proxy, step), step["expect"])
                await client.end(purge=True)

    async def run_step(self: Any, client: Any, proxy: CuttingProxy, step: dict[str, Any]) -> Outcome:
        options = {name: step[name] for name in ("timeout", "policy") if name in step}
        inputs = iter(step.get("inputs", []))
        run = await client.start(step["run"], **options)
        chars = 0
        is_done = False
        async for event in run:
            if isinstance(event, InputRequest):
                run.answer(event, next(inputs))
            elif isinstance(event, Output) and not is_done:
                chars += len(event.text)
                if step.get("interruptAfterOutput"):
                    is_done = True
                    await client.interrupt()
                elif chars >= step.get("cutAfterChars", 1 << 40):
                    is_done = True
                    proxy.cut()
        self.assertEqual(is_done, "interruptAfterOutput" in step or "cutAfterChars" in step)
        return await run.outcome()

    def check(self: Any, outcome: Outcome, expected: dict[str, Any]) -> None:
        error = outcome.error
        seen = {
            "ok": outcome.has_succeeded,
            "value": outcome.value,
            "repr": outcome.repr,
            "stdout": outcome.stdout,
            "stderr": outcome.stderr,
            "errorType": error and error.exception_type,
            "reason": error and error.reason,
            "state": error and error.state,
        }
        wanted = dict(expected)
        self.assertIn(wanted.pop("traceback", ""), error.traceback if error else "")
        if "stdoutLines" in wanted:
            lines = "".join(f"{index}\n" for index in range(wanted.pop("stdoutLines")))
            self.assertEqual(outcome.stdout, lines)
        if "stdoutChars" in wanted:
            self.assertEqual(len(outcome.stdout), wanted.pop("stdoutChars"))
        if wanted.pop("stdoutHasDigestOfValue", False):
            self.assertEqual(hashlib.sha256(outcome.stdout.encode()).hexdigest(), outcome.value)
        self.assertEqual({name: seen[name] for name in wanted}, wanted)


class BlockingTable(Table, unittest.IsolatedAsyncioTestCase):
    """`Client`."""

    make = BlockingAsAsync


class AsyncTable(Table, unittest.IsolatedAsyncioTestCase):
    """`AsyncClient`."""

    make = AsyncClient
