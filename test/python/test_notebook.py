"""Notebook habits: shell commands, magics, and help on names."""

from __future__ import annotations

import signal
import unittest

from session_case import SessionCase


class Lines(SessionCase):
    def test_a_command_streams_its_output_and_leaves_its_exit_code(self) -> None:
        outcome = self.run_code("word = 'there'\n!echo hello {word} $word; exit 3\n_exit_code")
        self.assertEqual(outcome.text("stdout"), "hello there there\n")
        self.assertEqual(outcome.value, 3)

    def test_a_command_gives_its_lines(self) -> None:
        self.assertEqual(self.run_code("x = !printf 'a\\nb\\n'\nx").value, ["a", "b"])
        self.assertEqual(self.run_code("!!echo one").value, ["one"])
        self.assertEqual(self.run_code("for i in range(2):\n    !echo {i}").text("stdout"), "0\n1\n")

    def test_line_magics_work_in_the_session(self) -> None:
        self.assertTrue(str(self.run_code("%pwd").value).startswith("/"))
        self.run_code("%%writefile made.py\nmade = __name__\n")
        self.assertEqual(self.run_code("%run made.py\nmade").value, "__main__")
        self.assertIn("made.py", self.run_code("%ls").text("stdout"))
        self.assertEqual(self.run_code("%env MINE=1\nimport os\nos.environ['MINE']").value, "1")
        timed = self.run_code("%time 6 * 7")
        self.assertEqual((timed.value, "Wall time" in timed.text("stdout")), (42, True))
        self.assertIn("per loop", self.run_code("%timeit pass").text("stdout"))
        self.assertIn("made", self.run_code("%who").text("stdout"))
        self.assertEqual(self.run_code("%matplotlib inline\n%load_ext autoreload\n1").value, 1)
        self.assertEqual(self.run_code("%cd /\n%pwd").value, "/")

    def test_cell_magics_take_the_lines_below(self) -> None:
        self.assertEqual(self.run_code("%%bash\nfor i in 1 2; do echo $i; done").text("stdout"), "1\n2\n")
        self.assertEqual(self.run_code("%%capture caught\nprint('inside')").text("stdout"), "")
        self.assertEqual(self.run_code("str(caught)").value, "inside\n")
        self.assertIn("Wall time", self.run_code("%%time\nx = 1\n").text("stdout"))
        self.assertIn("per loop", self.run_code("%%timeit\npass").text("stdout"))

    def test_a_question_mark_explains_a_name(self) -> None:
        self.run_code("def f(a, b=1):\n    'Adds.'\n    return a + b")
        shown = self.run_code("f?").text("stdout")
        self.assertIn("f(a, b=1)", shown)
        self.assertIn("Adds.", shown)
        self.assertIn("return a + b", self.run_code("f??").text("stdout"))

    def test_an_unknown_magic_names_those_there_are(self) -> None:
        for code, known in (("%nothing", "%timeit"), ("%%nothing\n1", "%%bash")):
            last = self.run_code(code).last
            self.assertEqual(last["exception_type"], "UsageError")
            self.assertIn(known, last["exception_message"])

    def test_installing_asks_the_runner_and_raises_what_it_says(self) -> None:
        wanted = (
            ("%pip install something 'a b>=1'", ["something", "a b>=1"]),
            ("!pip install -q something", ["-q", "something"]),
            ("!python3 -m pip install something", ["something"]),
        )
        for code, arguments in wanted:
            running = self.session.start(code)
            asked = self.session.wait_for(lambda message: message["type"] == "install")
            self.assertEqual((asked["arguments"], asked["cwd"]), (arguments, self.session.workspace))
            answer = {"install_id": asked["install_id"], "status": "failed", "detail": "It is not there."}
            self.session.live.send(type="install_answer", **answer)
            last = self.session.finish(running).last
            self.assertEqual((last["exception_type"], last["exception_message"]), ("PackageError", "It is not there."))
        self.assertEqual(self.run_code("!echo pip install x").text("stdout"), "pip install x\n")

    def test_an_interrupt_gives_an_installation_up(self) -> None:
        running = self.session.start("%pip install something")
        asked = self.session.wait_for(lambda message: message["type"] == "install")
        self.assertTrue(self.session.signal(signal.SIGINT))
        given_up = self.session.wait_for(lambda message: message["type"] == "install_cancel")
        self.assertEqual(given_up["install_id"], asked["install_id"])
        self.assertEqual(self.session.finish(running).last["exception_type"], "KeyboardInterrupt")
        self.assert_alive()

    def test_what_is_neither_stays_a_syntax_error(self) -> None:
        for code in ("x = = 1", "def f(:\n    pass", "?", "a b c"):
            self.assertEqual(self.run_code(code).last["exception_type"], "SyntaxError", code)
        self.assertEqual(self.run_code("s = '''\n!echo no\n%no\n'''\ns").value, "\n!echo no\n%no\n")
        self.assertEqual(self.run_code("s = '''\n!echo no\n'''\n!echo yes\ns").value, "\n!echo no\n")

    def test_a_command_is_interrupted_with_its_execution(self) -> None:
        running = self.session.start("!echo begun; exec sleep 60")
        self.session.wait_for(lambda message: message["type"] == "output")
        self.assertTrue(self.session.signal(signal.SIGINT))
        self.assertEqual(self.session.finish(running).last["exception_type"], "KeyboardInterrupt")
        self.assert_alive()


if __name__ == "__main__":
    unittest.main()
