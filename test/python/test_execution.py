"""Executions: values, names, errors and their tracebacks."""

import json
import unittest

from session_case import SessionCase


class Values(SessionCase):
    def test_gives_the_value_of_a_last_expression(self) -> None:
        self.assertEqual(self.run_code("1 + 1").value, 2)
        self.assertEqual(self.run_code("x = 5\nx").value, 5)
        self.assertEqual(self.run_code("x * 2;").value, 10)

    def test_gives_null_for_statements_and_none(self) -> None:
        for code in ("x = 5", "None", "", "pass", "# nothing"):
            last = self.run_code(code).last
            self.assertEqual((last["type"], last["value"], last["repr"]), ("result", None, None))

    def test_keeps_names_between_executions(self) -> None:
        self.run_code("x = [1]")
        self.assertEqual(self.run_code("x.append(2); x").value, [1, 2])

    def test_puts_the_last_value_into_underscore(self) -> None:
        self.run_code("41 + 1")
        self.run_code("None")
        self.assertEqual(self.run_code("_").value, 42)
        self.assertFalse(self.run_code("'_' in globals()").value)

    def test_gives_json_only_for_what_is_json(self) -> None:
        cases = {
            "{'a': [1, 2.5, True, None, 'x']}": {"a": [1, 2.5, True, None, "x"]},
            "(1, 2)": [1, 2],
            "2**53": 2**53,
            "-2**53": -(2**53),
            "'\\ud800'": "\ud800",
            "''": "",
        }
        for code, expected in cases.items():
            self.assertEqual(self.run_code(code).value, expected, code)
        refused = ("2**53 + 1", "{1: 2}", "float('nan')", "float('inf')", "[{1}]", "b'x'", "object()", "1j", "[2**60]")
        for code in refused:
            outcome = self.run_code(code)
            self.assertIsNone(outcome.last["value"], code)
            self.assertIsNotNone(outcome.repr, code)

    def test_does_not_run_methods_of_subclasses_to_make_json(self) -> None:
        code = "class D(dict):\n    def items(self): raise SystemExit('ran')\nD(a=1)"
        self.assertIsNone(self.run_code(code).last["value"])

    def test_bounds_json_and_repr(self) -> None:
        limit = 1 << 20
        self.assertEqual(len(self.run_code(f"'x' * {limit - 2}").last["value"]), limit)
        self.assertIsNone(self.run_code(f"'x' * {limit - 1}").last["value"])
        for code in ("'x' * 10**8", "list(range(10**6))", "b'x' * 10**7", "{i: i for i in range(10**5)}"):
            text = self.run_code(code).repr or ""
            self.assertLessEqual(len(text), 1 << 16, code)
            self.assertIn("… [", text, code)
        self.assertEqual(self.run_code("'x' * 65534").repr, repr("x" * 65534))

    def test_survives_cyclic_and_deep_values(self) -> None:
        self.assertEqual(self.run_code("a = []; a.append(a); a").repr, "[[...]]")
        self.assertIsNone(self.run_code("a").last["value"])
        deep = "b = []\nfor _ in range(100): b = [b]\nb"
        self.assertIsNone(self.run_code(deep).last["value"])

    def test_names_what_has_no_repr(self) -> None:
        code = "class Bad:\n    def __repr__(self): raise ValueError('no')\nBad()"
        self.assertEqual(self.run_code(code).repr, "<unprintable Bad object: ValueError>")
        self.assertEqual(
            self.run_code("class Odd:\n    def __repr__(self): return 5\nOdd()").repr,
            "<unprintable Odd object: TypeError>",
        )

    def test_keeps_output_of_a_repr_within_the_execution(self) -> None:
        outcome = self.run_code("class Loud:\n    def __repr__(self): print('hey'); return 'loud'\nLoud()")
        self.assertEqual((outcome.text(), outcome.repr), ("hey\n", "loud"))

    def test_runs_in_a_real_main_module(self) -> None:
        code = "import sys, __main__\n(__name__, sys.modules['__main__'].__dict__ is globals(), __main__.__dict__ is globals())"
        self.assertEqual(self.run_code(code).value, ["__main__", True, True])
        names = self.run_code("sorted(name for name in globals() if not name.startswith('__'))").value
        self.assertEqual(names, ["sys"])

    def test_hides_its_own_modules_and_environment(self) -> None:
        code = (
            "import sys, os\n[n for n in [*sys.modules, *os.environ] if 'pyrepl' in n.lower()], sys.path[0], sys.argv"
        )
        self.assertEqual(self.run_code(code).value, [[], "", [""]])

    def test_keeps_future_statements_in_force(self) -> None:
        self.run_code("from __future__ import annotations")
        self.assertEqual(self.run_code("def f(x: nothing): pass\nf.__annotations__['x']").value, "nothing")

    def test_does_not_inherit_future_statements_of_ours(self) -> None:
        self.assertEqual(self.run_code("def f(x: int): pass\nf.__annotations__['x'] is int").value, True)

    def test_starts_in_the_workspace(self) -> None:
        self.assertEqual(self.run_code("import os; os.getcwd()").value, self.session.workspace)
        self.run_code("open('mod.py', 'w').write('y = 3')")
        self.assertEqual(self.run_code("import mod; mod.y").value, 3)


class Errors(SessionCase):
    def test_tells_type_message_and_the_users_lines(self) -> None:
        last = self.run_code("def f(n):\n    return 1 / n\n\nf(0)").last
        self.assertEqual((last["exception_type"], last["exception_message"]), ("ZeroDivisionError", "division by zero"))
        self.assertEqual(last["reason"], "exception")
        self.assertIn("return 1 / n", last["traceback"])
        self.assertIn("line 4, in <module>", last["traceback"])
        self.assertNotIn("pyrepl", last["traceback"])

    def test_shows_the_line_of_an_earlier_execution(self) -> None:
        self.run_code("def earlier():\n    raise KeyError('k')")
        text = self.run_code("earlier()").last["traceback"]
        self.assertIn("raise KeyError('k')", text)
        self.assertIn('File "<execution 1>", line 2, in earlier', text)

    def test_strips_own_frames_from_chained_exceptions(self) -> None:
        code = "def ask():\n    try:\n        input('?')\n    except EOFError as e:\n        raise ValueError('bad') from e\nask()"
        text = self.run_code(code, None).last["traceback"]
        self.assertIn("EOFError", text)
        self.assertIn("direct cause", text)
        self.assertNotIn("worker-runner", text)

    def test_tells_syntax_errors_as_errors(self) -> None:
        last = self.run_code("x = (1,\ny = 2").last
        self.assertEqual(last["exception_type"], "SyntaxError")
        self.assertIn("<execution 1>", last["traceback"])
        self.assertNotIn("worker-runner", last["traceback"])
        self.assertEqual(self.run_code("  x = 1").error, "IndentationError")
        self.assertIn(self.run_code("a\0b").error, ("ValueError", "SyntaxError"))
        self.assertEqual(self.run_code("'\ud800'; x = '\ud800'").error, "UnicodeEncodeError")
        self.assert_alive()

    def test_survives_code_too_nested_for_the_parser(self) -> None:
        for code in ("(" * 100000, "[" * 500 + "]" * 500, "-" * 100000 + "1", "x" + ".x" * 100000, "1" + "+1" * 30000):
            self.assertIn(
                self.run_code(code).error, ("MemoryError", "RecursionError", "SyntaxError", "NameError", ""), code[:10]
            )
        self.assert_alive()

    def test_treats_exit_as_an_error_of_the_execution(self) -> None:
        last = self.run_code("import sys\nsys.exit(3)").last
        self.assertEqual((last["exception_type"], last["exception_message"]), ("SystemExit", "3"))
        self.assertEqual(self.run_code("exit()").error, "SystemExit")
        self.assertEqual(self.run_code("raise KeyboardInterrupt").last["reason"], "interrupted")
        self.assertEqual(self.run_code("raise MemoryError").last["reason"], "out_of_memory")
        self.assert_alive()

    def test_bounds_tracebacks(self) -> None:
        recursion = self.run_code("def f(): f()\nf()").last
        self.assertEqual(recursion["exception_type"], "RecursionError")
        self.assertIn("more times", recursion["traceback"])
        deep = (
            "import sys\nsys.setrecursionlimit(12000)\n"
            "def down(n):\n    if n == 0: raise ValueError('bottom')\n    try:\n        down(n - 1)\n    finally:\n        pass\n"
            "down(10000)"
        )
        last = self.run_code(deep).last
        self.assertEqual(last["exception_message"], "bottom")
        self.assertLess(len(last["traceback"]), 1 << 18)
        huge = self.run_code("raise ValueError('x' * 10**7)").last
        self.assertLessEqual(len(huge["exception_message"]), 1 << 16)
        self.assertLessEqual(len(huge["traceback"]), 1 << 18)
        self.assert_alive()

    def test_survives_hostile_exceptions(self) -> None:
        codes = (
            "class E(Exception):\n    def __str__(self): raise SystemError('in str')\nraise E",
            "class E(Exception):\n    __module__ = 5\nraise E",
            "class M(type):\n    def __getattribute__(c, n): raise RuntimeError(n)\n"
            "class E(Exception, metaclass=M): pass\nraise E",
            "class E(Exception):\n    __cause__ = property(lambda s: 1 / 0)\nraise E",
            "e = ValueError(); e.__cause__ = e; raise e",
            "class E(Exception):\n    def __str__(self): return 5\nraise E",
        )
        for code in codes:
            self.assertEqual(self.run_code(code).last["type"], "error", code)
            self.assert_alive()

    def test_survives_broken_traceback_tools(self) -> None:
        self.run_code(
            "import traceback, linecache\ntraceback.TracebackException.format = None\nlinecache.cache.clear()"
        )
        self.run_code("traceback.StackSummary = None; linecache.getline = linecache.checkcache = None")
        last = self.run_code("1 / 0").last
        self.assertEqual((last["exception_type"], last["type"]), ("ZeroDivisionError", "error"))
        self.assertIn("<execution 3>", last["traceback"])

    def test_lets_code_import_what_a_traceback_has_loaded_before(self) -> None:
        self.run_code("1 / 0")
        for name in ("linecache", "inspect", "asyncio", "traceback"):
            self.assertEqual(self.run_code(f"import {name}; {name}.__name__").value, name)
        self.assertEqual(self.run_code("def f(): return 1\ninspect.getsource(f)").value, "def f(): return 1\n")

    def test_leaves_the_error_where_post_mortem_tools_look(self) -> None:
        self.run_code("1 / 0")
        self.assertEqual(self.run_code("import sys; type(sys.last_value).__name__").value, "ZeroDivisionError")

    def test_tells_exception_groups(self) -> None:
        outcome = self.run_code("raise ExceptionGroup('many', [ValueError('one'), KeyError('two')])")
        if outcome.error != "NameError":
            self.assertEqual(outcome.error, "ExceptionGroup")
            self.assertIn("ValueError: one", outcome.last["traceback"])


class Awaiting(SessionCase):
    def test_awaits_at_the_top_level(self) -> None:
        self.assertEqual(self.run_code("import asyncio\nawait asyncio.sleep(0, 'done')").value, "done")
        self.assertEqual(self.run_code("x = await asyncio.sleep(0, 3)\nx + 1").value, 4)
        code = "async def many():\n    for i in range(3): yield i\n[i async for i in many()]"
        self.assertEqual(self.run_code(code).value, [0, 1, 2])

    def test_keeps_background_tasks_between_executions(self) -> None:
        self.run_code(
            "import asyncio\nseen = []\nasync def tick():\n    while True:\n        seen.append(1); await asyncio.sleep(0)"
        )
        self.run_code("task = asyncio.get_event_loop().create_task(tick())\nawait asyncio.sleep(0)")
        before = self.run_code("len(seen)").value
        self.run_code("await asyncio.sleep(0.01)")
        self.assertGreater(self.run_code("len(seen)").value, before)

    def test_tells_errors_of_coroutines_with_the_users_frames_only(self) -> None:
        text = self.run_code("async def f():\n    raise ValueError('deep')\nawait f()").last["traceback"]
        self.assertIn("raise ValueError('deep')", text)
        self.assertNotIn("asyncio", text)
        self.assertNotIn("worker-runner", text)

    def test_leaves_asyncio_run_usable(self) -> None:
        self.run_code("import asyncio\nawait asyncio.sleep(0)")
        self.assertEqual(self.run_code("asyncio.run(asyncio.sleep(0, 'ran'))").value, "ran")
        self.assertEqual(self.run_code("await asyncio.sleep(0, 'again')").value, "again")

    def test_gives_coroutines_themselves_where_nothing_is_awaited(self) -> None:
        outcome = self.run_code("async def f(): return 1\nc = f()\nr = type(c).__name__\nc.close()\nr")
        self.assertEqual(outcome.value, "coroutine")


class Hello(SessionCase):
    def test_keeper_tells_its_python(self) -> None:
        python = self.session.keeper.hello["python"]
        version = self.run_code("import sys; '.'.join(map(str, sys.version_info[:3]))").value
        self.assertEqual(python["version"], version)
        self.assertEqual(python["implementation"], "cpython")
        self.assertIn(python["serializer"], ("cloudpickle", "source"))

    def test_value_text_is_compact_ascii_json(self) -> None:
        text = self.run_code("{'é': [1, 2]}").last["value"]
        self.assertEqual(text, '{"\\u00e9":[1,2]}')
        self.assertEqual(json.loads(text), {"é": [1, 2]})


if __name__ == "__main__":
    unittest.main()
