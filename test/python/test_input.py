"""Questions to the client: input(), getpass, sys.stdin; from any thread, with end of file and interrupts."""

from __future__ import annotations

import unittest
from pathlib import Path

from session_case import SessionCase


class Input(SessionCase):
    def test_asks_and_takes_the_answer(self) -> None:
        outcome = self.run_code("print('hi', end='')\nname = input('Name? ')\nname", "Ada")
        self.assertEqual(outcome.value, "Ada")
        self.assertEqual(outcome.kinds, ["output", "input", "result"])
        asked = outcome.events[-2]
        self.assertEqual((asked["prompt"], asked["password"]), ("Name? ", False))

    def test_asks_for_passwords_without_echo(self) -> None:
        outcome = self.run_code("import getpass\ngetpass.getpass('Secret: ')", "s3")
        self.assertEqual(outcome.value, "s3")
        self.assertEqual((outcome.events[0]["prompt"], outcome.events[0]["password"]), ("Secret: ", True))
        self.assertEqual(outcome.text(), "")

    def test_raises_at_the_end_of_input(self) -> None:
        self.assertEqual(self.run_code("input()", None).error, "EOFError")
        self.assertEqual(self.run_code("import sys; sys.stdin.readline()", None).value, "")
        self.assertEqual(self.run_code("sys.stdin.read()", "a", "b", None).value, "a\nb\n")
        self.assert_alive()

    def test_reads_stdin_in_every_way(self) -> None:
        self.run_code("import sys")
        self.assertEqual(self.run_code("sys.stdin.readline()", "x").value, "x\n")
        self.assertEqual(self.run_code("[line for line in sys.stdin]", "a", "b", None).value, ["a\n", "b\n"])
        self.assertEqual(self.run_code("sys.stdin.readlines()", "a", None).value, ["a\n"])
        self.assertEqual(self.run_code("sys.stdin.read(3), sys.stdin.readline()", "abcde").value, ["abc", "de\n"])
        self.assertEqual(self.run_code("sys.stdin.buffer.readline().decode()", "é").value, "é\n")
        self.assertEqual(self.run_code("sys.stdin.readline(), input()", "one\ntwo", "three").value, ["one\n", "three"])
        self.assertEqual(
            self.run_code("sys.stdin.isatty(), sys.stdin.fileno(), sys.stdin.encoding").value, [False, 0, "utf-8"]
        )

    def test_honours_a_replaced_stdin(self) -> None:
        code = (
            "import sys, io\nold, sys.stdin = sys.stdin, io.StringIO('given\\n')\nv = input('> ')\nsys.stdin = old\nv"
        )
        outcome = self.run_code(code)
        self.assertEqual((outcome.value, outcome.text()), ("given", "> "))

    def test_stays_open_after_exit(self) -> None:
        self.assertEqual(self.run_code("exit()").error, "SystemExit")
        self.assertEqual(self.run_code("import sys; [line for line in sys.stdin]", "a", None).value, ["a\n"])
        self.run_code("sys.stdin.close(); sys.stdout.close()")
        self.assertEqual(self.run_code("input(), sys.stdin.readline()", "b", "c").value, ["b", "c\n"])

    def test_carries_any_text(self) -> None:
        for answer in ("", "é😀", "\ud800", "a\tb", "x" * 100000):
            self.assertEqual(self.run_code("len(input()), input()", answer, answer).value, [len(answer), answer])

    def test_takes_only_the_pending_answer(self) -> None:
        execution_id = self.session.start("input('a')")
        asked = self.session.live.receive_type("input")
        self.session.live.send(type="input_response", input_id="forged", value="wrong")
        self.session.live.send(type="input_response", input_id=asked["input_id"], value="right")
        self.session.live.send(type="input_response", input_id=asked["input_id"], value="twice")
        self.assertEqual(self.session.finish(execution_id).value, "right")
        self.assertEqual(self.run_code("input('b')", "new").value, "new")

    def test_keeps_orders_that_come_meanwhile(self) -> None:
        execution_id = self.session.start("input('a')")
        asked = self.session.live.receive_type("input")
        self.session.live.send(type="is_complete", id="later", code="x")
        self.session.live.send(type="input_response", input_id=asked["input_id"], value="v")
        self.assertEqual(self.session.finish(execution_id).value, "v")
        self.assertEqual(self.session.live.receive_type("completeness")["id"], "later")

    def test_can_be_interrupted(self) -> None:
        execution_id = self.session.start("try:\n    input('a')\nexcept KeyboardInterrupt:\n    r = 'caught'\nr")
        asked = self.session.live.receive_type("input")
        self.session.signal(2)
        self.assertEqual(self.session.finish(execution_id).value, "caught")
        self.session.live.send(type="input_response", input_id=asked["input_id"], value="late")
        self.assertEqual(self.run_code("input('b')", "new").value, "new")

    def test_works_from_threads(self) -> None:
        code = (
            "import threading\ngot = []\ndef ask(): got.append(input('t'))\n"
            "ts = [threading.Thread(target=ask) for _ in range(3)]\n[t.start() for t in ts]\n[t.join() for t in ts]\nsorted(got)"
        )
        self.assertEqual(self.run_code(code, "1", "2", "3").value, ["1", "2", "3"])

    def test_ends_a_threads_question_with_the_execution(self) -> None:
        code = (
            "import os, threading, time\ndef ask():\n    global ended\n    try: input('t')\n    except EOFError: ended = True\n"
            "ended = False\nt = threading.Thread(target=ask); t.start()\n"
            "while not os.path.exists('asked'): time.sleep(0.01)"
        )
        execution_id = self.session.start(code)
        self.session.live.receive_type("input")
        Path(self.session.workspace, "asked").touch()
        self.session.finish(execution_id)
        self.assertEqual(self.run_code("t.join(); ended").value, True)
        self.assertEqual(self.run_code("input()", "still").value, "still")


if __name__ == "__main__":
    unittest.main()
