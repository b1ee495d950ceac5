"""The golden messages against a description that was written apart from the zod schemas."""

from __future__ import annotations

import json
import re
import unittest
from pathlib import Path
from typing import Any

from contract_shapes import CLIENT, REST, SERVER
from link_shapes import LINK

GOLDEN = Path(__file__).parent.parent / "contract" / "golden"


def _golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


class GoldenMessages(unittest.TestCase):
    def test_client_messages_are_as_described(self) -> None:
        for name, message in _golden("client").items():
            with self.subTest(name):
                self.assertEqual(CLIENT(message, ""), [])

    def test_server_messages_are_as_described(self) -> None:
        for name, message in _golden("server").items():
            with self.subTest(name):
                self.assertEqual(SERVER(message, ""), [])

    def test_rest_bodies_are_as_described(self) -> None:
        for name, body in _golden("rest").items():
            with self.subTest(name):
                self.assertEqual(REST[name.split(":")[0]](body, ""), [])

    def test_link_frames_are_as_described(self) -> None:
        for name, frame in _golden("link").items():
            with self.subTest(name):
                self.assertEqual(LINK[re.split("[: ]", name)[0]](frame, ""), [])

    def test_what_the_contract_refuses_is_refused_here_too(self) -> None:
        refused = _golden("refused")
        for shape, cases in ((CLIENT, refused["client"]), (SERVER, refused["server"])):
            for name, message in cases:
                with self.subTest(name):
                    self.assertNotEqual(shape(message, ""), [])
        for body, name, value in refused["rest"]:
            with self.subTest(f"{body}: {name}"):
                self.assertNotEqual(REST[body](value, ""), [])

    def test_messages_survive_python_unchanged(self) -> None:
        for name in ("client", "server", "rest", "link"):
            for message in _golden(name).values():
                self.assertEqual(json.loads(json.dumps(message)), message)


if __name__ == "__main__":
    unittest.main()
