"""When output that ends inside a line is sent: the pump waits for the line end, but not for ever."""

from __future__ import annotations

import unittest
from typing import Any

from pyrepl.output import Output
from pyrepl.ring import Ring
from pyrepl.wire import KIND_OUTPUT


class _Connection:
    """The far side of the channel: it keeps the frames."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, kind: int, payload: bytes) -> None:
        assert kind == KIND_OUTPUT
        self.frames.append(payload)

    def finish_sending(self) -> None:
        return None


class _Reader:
    """Pipes without bytes."""

    def waiting(self, _timeout: float, _most: int) -> list[Any]:
        return []

    def take(self) -> list[Any]:
        return []


class _Pump:
    """A pump whose timer the test plays."""

    def __init__(self) -> None:
        self.postponed: list[int] = []
        self.is_waiting_for_execution = False
        self.armed = 0

    def arm(self) -> None:
        self.armed += 1


class OpenLines(unittest.TestCase):
    def setUp(self) -> None:
        ring = Ring()
        ring.open(is_shared=False)
        connection: Any = _Connection()
        pump: Any = _Pump()
        reader: Any = _Reader()
        self.output = Output(ring)
        self.output.start(connection, reader, pump)
        self.output.open()
        self.connection, self.pump = connection, pump

    def test_the_two_writes_of_print_leave_together_on_a_slow_machine(self) -> None:
        self.output.write(1, "Hello")
        # The timer fires while the thread that prints does not get the processor.
        self.output.drain(True)
        self.assertEqual(self.connection.frames, [])
        self.output.write(1, "\n")
        self.output.flush()
        self.assertEqual(len(self.connection.frames), 1)
        self.assertIn(b"Hello\n", self.connection.frames[0])

    def test_an_open_line_is_sent_after_some_waits(self) -> None:
        for _ in range(2):
            self.connection.frames.clear()
            self.pump.armed = 0
            self.output.write(1, "50 %")
            while not self.connection.frames:
                self.output.drain(True)
                self.assertLess(self.pump.armed, 20)
            self.assertEqual(len(self.connection.frames), 1)
            self.assertEqual(self.pump.armed, 11)

    def test_a_flush_sends_an_open_line_at_once(self) -> None:
        self.output.write(1, "50 %")
        self.output.flush()
        self.assertEqual(len(self.connection.frames), 1)


if __name__ == "__main__":
    unittest.main()
