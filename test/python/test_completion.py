"""Completion and the question whether code is complete."""

from __future__ import annotations

import unittest

from channel_driver import Message
from session_case import SessionCase


class Completion(SessionCase):
    def complete(self, code: str, cursor: int | None = None) -> Message:
        """Ask for completions at the end of `code`, or at `cursor`."""
        self.session.live.send(type="complete", id="c", code=code, cursor=len(code) if cursor is None else cursor)
        return self.session.live.receive_type("completions")

    def test_offers_names_keywords_and_builtins(self) -> None:
        self.run_code("apple = 1; apricot = 2")
        answer = self.complete("x = ap")
        self.assertEqual(answer["matches"], ["apple", "apricot"])
        self.assertEqual((answer["id"], answer["cursor_start"], answer["cursor_end"]), ("c", 4, 6))
        self.assertIn("print", self.complete("pri")["matches"])
        self.assertIn("lambda", self.complete("lam")["matches"])
        self.assertEqual(self.complete("ap + b", 2)["matches"], ["apple", "apricot"])

    def test_offers_attributes_public_ones_first(self) -> None:
        self.run_code("import os\nclass A:\n    def method(self): pass\n    _hidden = 1\na = A(); a.own = 'text'")
        self.assertEqual(self.complete("a.")["matches"], ["method", "own"])
        self.assertIn("_hidden", self.complete("a._h")["matches"])
        self.assertEqual(self.complete("os.path.joi")["matches"], ["join"])
        self.assertIn("upper", self.complete("a.own.up")["matches"])
        self.assertEqual(self.complete("A.meth")["matches"], ["method"])
        self.assertEqual(self.complete("nothing.x")["matches"], [])

    def test_runs_no_code_of_the_user(self) -> None:
        self.run_code(
            "ran = []\nclass P:\n    @property\n    def prop(self): ran.append(1); return ''\n    def __getattr__(self, n): ran.append(2)\n"
            "    def __dir__(self): ran.append(3); return []\np = P()"
        )
        self.assertEqual(self.complete("p.pro")["matches"], ["prop"])
        self.assertEqual(self.complete("p.prop.up")["matches"], [])
        self.assertEqual(self.run_code("ran").value, [])

    def test_offers_modules(self) -> None:
        self.run_code("open('ownmod.py', 'w').write('a_name = 1')")
        self.assertIn("ownmod", self.complete("import ownm")["matches"])
        self.assertIn("json", self.complete("import os, js")["matches"])
        self.assertIn("decoder", self.complete("import json.dec")["matches"])
        self.assertIn("OrderedDict", self.complete("from collections import Ord")["matches"])

    def test_is_bounded_and_survives_anything(self) -> None:
        self.run_code("for i in range(2000): globals()[f'name{i}'] = i")
        self.assertEqual(len(self.complete("name")["matches"]), 500)
        for code, cursor in (
            ("", 0),
            ("a.b..c.", 7),
            ("(((", 99),
            ("x", -5),
            ("\0\n'\"", 2),
            ("é." * 1000, 2000),
            ("import " + "a." * 500, 1007),
        ):
            self.assertLessEqual(len(self.complete(code, cursor)["matches"]), 500)
        self.assert_alive()

    def test_offers_nothing_inside_strings_and_comments(self) -> None:
        self.run_code("name_here = {'k': 1}")
        inside = (
            "open('",
            "df['",
            'f"a ',
            "x = 'it\\'s ",
            "'''one\n",
            "r'\\",
            "# na",
            "f'{name_here} and na",
            "f'{{na",
            "b = b'pri",
            "'a' + \"pri",
        )
        for code in inside:
            self.assertEqual(self.complete(code)["matches"], [], code)
        outside = (
            "open('f', na",
            "f'{na",
            "f'''{\nna",
            "f'{ {1: na",
            "'#' + na",
            "# comment\nna",
            "'open\nna",
            "x = 'y'; na",
            "f'{name_here!r:>{na",
            "rb'\\'' + na",
        )
        for code in outside:
            self.assertIn("name_here", self.complete(code)["matches"], code)


class Completeness(SessionCase):
    def test_tells_complete_incomplete_and_invalid(self) -> None:
        cases = {
            "x = 1": ("complete", None),
            "": ("complete", None),
            "await f()": ("complete", None),
            "for i in x:": ("incomplete", "    "),
            "for i in x:\n    pass": ("incomplete", ""),
            "for i in x:\n    y()": ("incomplete", "    "),
            "for i in x:\n    y()\n": ("complete", None),
            "f(1,": ("incomplete", ""),
            "'''text": ("incomplete", ""),
            "x = = 1": ("invalid", None),
            "a b": ("invalid", None),
            "x = 1\ny = 2": ("complete", None),
            "a\0": ("invalid", None),
        }
        for code, (status, indent) in cases.items():
            self.session.live.send(type="is_complete", id="i", code=code)
            answer = self.session.live.receive_type("completeness")
            self.assertEqual((answer["status"], answer.get("indent")), (status, indent), code)


if __name__ == "__main__":
    unittest.main()
