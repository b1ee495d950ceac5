"""Owns the ground of every test here: one keeper per test class, a fresh live process per test."""

from __future__ import annotations

import unittest

from channel_driver import Driver, Ended, Message, Outcome


class SessionCase(unittest.TestCase):
    """A test with `self.session`, and shorthands for it."""

    session: Driver
    _shared: Driver | None = None

    @classmethod
    def tearDownClass(cls) -> None:
        if cls._shared is not None:
            cls._shared.close()
            cls._shared = None

    def setUp(self) -> None:
        cls = type(self)
        if cls._shared is not None and cls._shared.process.poll() is not None:
            cls._shared.close()
            cls._shared = None
        if cls._shared is None:
            cls._shared = Driver()
        else:
            cls._shared.restart()
        self.session = cls._shared

    def run_code(self, code: str, *answers: str | None) -> Outcome:
        """Run code in the live process."""
        return self.session.execute(code, answers)

    def assert_alive(self) -> None:
        """Check that the next execution is right."""
        self.assertEqual(self.run_code("6 * 7").value, 42)

    def assert_dies(self, code: str) -> list[Message]:
        """Run code that ends the live process; returns what it and the keeper said, `exited` last."""
        self.session.start(code)
        said: list[Message] = []
        with self.assertRaises(Ended):
            while True:
                said.append(self.session.live.receive())
        said.append(self.session.keeper.receive())
        while said[-1]["type"] != "exited" or said[-1]["pid"] != self.session.live.pid:
            said.append(self.session.keeper.receive())
        return said

    def text_of(self, said: list[Message]) -> str:
        """Return the output among messages, what came twice taken once, as the runner does."""
        text, end = "", 0
        for message in said:
            if message["type"] == "output":
                data = message["data"].encode("utf-8", "surrogatepass")
                fresh = data[max(0, end - message["offset"]) :]
                self.assertLessEqual(message["offset"], end)
                end += len(fresh)
                text += fresh.decode("utf-8", "surrogatepass")
        return text
