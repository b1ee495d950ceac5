"""The list of variables, and the environment variables that the client keeps for a session."""

from __future__ import annotations

import unittest
from typing import Any

from session_case import SessionCase


class Variables(SessionCase):
    """What there is to see of the namespace between executions."""

    def listed(self) -> dict[str, dict[str, Any]]:
        """The variables by name, in order."""
        self.session.live.send(type="variables", id=self.session.next_id())
        answer = self.session.live.receive_type("variables")
        return {variable["name"]: variable for variable in answer["variables"]}

    def test_tells_name_type_text_and_size(self) -> None:
        self.run_code("x = 41\ntext = 'é' * 300\ndef f(): pass\nimport math\nitems = [1, 'a', None]")
        found = self.listed()
        self.assertEqual((found["x"]["type"], found["x"]["repr"], found["x"]["is_callable"]), ("int", "41", False))
        self.assertLessEqual(len(found["text"]["repr"]), 200)
        self.assertTrue(found["f"]["is_callable"])
        self.assertEqual(found["items"]["repr"], "[1, 'a', None]")
        self.assertEqual(found["math"]["repr"], "<module 'math'>")
        self.assertGreater(found["x"]["size"], 20)
        self.assertFalse(any(name.startswith("__") for name in found))

    def test_the_newest_binding_comes_first(self) -> None:
        self.run_code("a = 1000\nb = 2000")
        self.run_code("c = 3000")
        self.assertEqual(list(self.listed()), ["c", "b", "a"])
        self.run_code("a = 5000\n1 / 0")
        self.assertEqual(list(self.listed()), ["a", "c", "b"])

    def test_at_most_500(self) -> None:
        self.run_code("for n in range(600): globals()[f'v{n}'] = n")
        self.session.live.send(type="variables", id="v")
        answer = self.session.live.receive_type("variables")
        self.assertEqual((len(answer["variables"]), answer["truncated"]), (500, True))

    def test_a_repr_that_hangs_prints_or_raises_changes_nothing(self) -> None:
        self.run_code(
            "calls = []\n"
            "class Hangs:\n  def __repr__(self):\n    while True: pass\n"
            "class Prints:\n  def __repr__(self):\n    calls.append(1); print('printed'); return 'Prints()'\n"
            "class Raises:\n  def __repr__(self): raise ValueError('no')\n"
            "class Sized:\n  def __sizeof__(self):\n    while True: pass\n"
            "prints, raises, sized = Prints(), Raises(), Sized()"
        )
        found = self.listed()
        self.assertEqual(found["prints"]["repr"], "Prints()")
        self.assertIn("unprintable Raises", found["raises"]["repr"])
        self.assertGreater(found["sized"]["size"], 0)
        self.run_code("hangs = Hangs()\nnested = [Hangs()]")
        found = self.listed()
        self.assertEqual(found["hangs"]["repr"], "<Hangs object>")
        self.assertEqual(self.run_code("calls").value, [])
        self.assert_alive()

    def test_large_values_take_no_time(self) -> None:
        self.run_code(
            "big = [0] * 10**7\nlong = 10**100000\ntree = {n: [n] * 10 for n in range(10**5)}\nraw = [b'x' * 10**7]"
        )
        found = self.listed()
        self.assertIn("10000000 items", found["big"]["repr"])
        self.assertIn("bits", found["long"]["repr"])
        self.assertTrue(all(len(variable["repr"]) <= 200 for variable in found.values()))


class Environment(SessionCase):
    """`env` of an execution."""

    def run_env(self, code: str, **env: str | None) -> Any:
        """Run code with these variables."""
        execution_id = self.session.start(code, env=env)
        return self.session.finish(execution_id).value

    def test_is_in_the_environment_of_python_and_of_what_it_starts(self) -> None:
        code = "import os, subprocess\n[os.environ.get('API'), subprocess.getoutput('echo $API')]"
        self.assertEqual(self.run_env(code, API="secret"), ["secret", "secret"])
        self.assertEqual(self.run_env(code, API=None), [None, ""])

    def test_is_in_no_checkpoint(self) -> None:
        self.run_env("import os\nos.environ['MINE'] = 'kept'\nx = 1", API="top-secret-value")
        snapshot, _ = self.session.freeze()
        blob = self.session.checkpoint(snapshot).content
        self.assertNotIn(b"top-secret-value", blob)
        self.session.restart()
        self.session.load(blob)
        self.assertEqual(
            self.run_code("import os\n[os.environ.get('API'), os.environ['MINE'], x]").value, [None, "kept", 1]
        )


if __name__ == "__main__":
    unittest.main()
