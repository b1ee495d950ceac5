"""Messages that a process does not know: it says so and exits, instead of leaving the runner without an answer."""

from __future__ import annotations

import unittest

from channel_driver import DEADLINE_SECONDS, Ended
from session_case import SessionCase


class UnknownMessages(SessionCase):
    def test_end_a_live_process_and_not_the_session(self) -> None:
        self.session.live.send(type="teleport", id="1")
        said = self.session.live.receive()
        self.assertEqual(said, {"type": "unsupported", "message_type": "teleport"})
        with self.assertRaises(Ended):
            self.session.live.receive()
        self.assertEqual(self.session.keeper.receive_type("exited")["code"], 70)
        self.session.live = self.session.spawn(self.session.keeper)
        self.assert_alive()

    def test_end_a_snapshot(self) -> None:
        copy, _ = self.session.snapshot()
        peer = copy.peer
        assert peer is not None
        peer.send(type="execute", execution_id="1", code="1")
        self.assertEqual(peer.receive(), {"type": "unsupported", "message_type": "execute"})
        with self.assertRaises(Ended):
            peer.receive()
        self.assert_alive()

    def test_end_the_keeper_and_with_it_the_session(self) -> None:
        self.session.keeper.send(type="dance" * 100)
        self.assertEqual(self.session.keeper.receive(), {"type": "unsupported", "message_type": ("dance" * 100)[:100]})
        with self.assertRaises(Ended):
            self.session.keeper.receive()
        self.session.process.wait(DEADLINE_SECONDS)


if __name__ == "__main__":
    unittest.main()
