"""Files in the workspace named like modules of the library: our own imports never find them, those of user code do."""

from __future__ import annotations

import os
import sys
import unittest

from channel_driver import Driver
from session_case import SessionCase

NAMES = (
    "_compat_pickle", "abc", "ast", "asyncio", "base64", "bisect", "cloudpickle", "codeop", "collections", "concurrent", "contextlib",
    "contextvars", "copyreg", "dataclasses", "dis", "enum", "functools", "hashlib", "heapq", "importlib", "inspect", "io", "json",
    "keyword", "linecache", "logging", "opcode", "operator", "pickle", "random", "re", "selectors", "signal", "socket", "ssl",
    "string", "struct", "subprocess", "tempfile", "textwrap", "threading", "token", "tokenize", "traceback", "types", "typing",
    "warnings", "weakref",
)  # fmt: skip
NOT_AT_START = sorted(
    set(NAMES)
    - {"abc", "importlib", "io", "collections", "functools", "operator", "keyword", "types", "warnings", "contextlib"}
)
WRITE = f"for n in {NAMES!r}: open(n + '.py', 'w').write(text)\n"
BUNDLE = "class J:\n    def _repr_mimebundle_(self, **k): return {'application/json': {'a': 1}, 'text/plain': 'j'}\nJ()"


class WorkspaceNames(SessionCase):
    def setUp(self) -> None:
        super().setUp()
        for entry in os.scandir(self.session.workspace):
            if entry.name.endswith(".py"):
                os.unlink(entry.path)

    def fill(self, text: str) -> None:
        """Write a file for every name, all with the same content."""
        self.run_code(f"text = {text!r}\n{WRITE}del text, n")

    def ask(self, kind: str, answer: str, **fields: object) -> dict[str, object]:
        """Ask the live process a question."""
        self.session.live.send(type=kind, id="q", **fields)
        return self.session.live.receive_type(answer)

    def check_everything(self) -> None:
        self.assertEqual(self.ask("is_complete", "completeness", code="for i in x:")["status"], "incomplete")
        self.run_code("zed = 'text'")
        self.assertEqual(self.ask("complete", "completions", code="zed.upp", cursor=7)["matches"], ["upper"])
        self.assertEqual(self.run_code("async def f(): return 5\nawait f()").value, 5)
        self.assertEqual(self.run_code(BUNDLE).last["mime"]["application/json"], '{"a": 1}')
        failed = self.run_code("def g(): return 1 / 0\ng()")
        self.assertIn("in g\n    def g(): return 1 / 0", failed.last["traceback"])
        self.assertEqual(self.run_code("str(len('abc'))").value, "3")
        self.assertEqual(self.run_code("input('? ')", "yes").value, "yes")

    def check_state_moves(self) -> None:
        self.run_code(
            "import sys, math\nkept = [1, {'2': 'three'}]\ndef twice(x): return x * 2\nclass P: pass\np = P(); p.x = kept"
        )
        snapshot, _ = self.session.snapshot()
        blob = self.session.checkpoint(snapshot)
        self.session.drop(snapshot)
        self.session.restart()
        answer = self.session.load(blob.content)
        self.assertEqual((answer["type"], answer.get("missing")), ("loaded", []))
        self.assertEqual(self.run_code("[kept, twice(4), p.x is kept]").value, [[1, {"2": "three"}], 8, True])

    def test_harm_nothing_of_ours(self) -> None:
        for text in ("raise RuntimeError(__name__)", "# mine", "import nowhere_at_all"):
            with self.subTest(text=text):
                self.fill(text)
                self.check_everything()
                self.check_state_moves()
                self.check_everything()

    def test_harm_nothing_of_ours_after_a_restore_from_a_snapshot(self) -> None:
        self.fill("# mine")
        snapshot, _ = self.session.freeze()
        self.session.restore(snapshot)
        self.check_everything()

    def test_harm_nothing_of_ours_if_user_code_has_imported_them(self) -> None:
        self.fill("# mine")
        self.run_code(f"for n in {NOT_AT_START!r}: __import__(n)")
        self.check_everything()
        self.check_state_moves()

    def test_are_what_user_code_imports(self) -> None:
        self.fill("mine = True")
        self.check_everything()
        found = self.run_code(f"[n for n in {NOT_AT_START!r} if not hasattr(__import__(n), 'mine')]").value
        self.assertEqual(found, [])

    def test_leave_the_library_whole_where_there_are_none(self) -> None:
        self.check_everything()
        code = (
            "import asyncio, json, re, signal, enum, copyreg, sys\nasync def g(): return asyncio.current_task() is not None\n"
            "assert enum.Enum in signal.Signals.__mro__ and json.loads('[1]') == [1]\n"
            "try:\n    await asyncio.wait_for(asyncio.sleep(9), 0.01)\nexcept asyncio.TimeoutError: caught = True\n"
            "[await g(), caught, asyncio is sys.modules['asyncio'], asyncio.events.__name__]"
        )
        self.assertEqual(self.run_code(code).value, [True, True, True, "asyncio.events"])

    def test_are_the_modules_that_a_bare_python_has_not_imported(self) -> None:
        """Before its first import, user code sees no module that only our code has imported."""
        import subprocess
        import tempfile

        self.run_code("async def f(): return 1\nawait f()")
        ours = set(self.run_code("import sys\nlist(sys.modules)").value)
        # Python imports some modules itself to run a folder, as which it runs ours.
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "__main__.py"), "w", encoding="utf-8") as main:
                main.write("import sys; print(*sys.modules)")
            program = [sys.executable, "-I", "-X", "utf8", folder]
            bare = set(subprocess.run(program, capture_output=True, text=True, check=True).stdout.split())
        self.assertEqual(sorted(name for name in ours - bare if name.partition(".")[0] in sys.stdlib_module_names), [])


class Edited(SessionCase):
    def test_module_of_the_same_size_is_loaded_anew(self) -> None:
        self.run_code("open('edited.py', 'w').write('V = 1\\n')\nimport edited, importlib")
        self.assertEqual(self.run_code("open('edited.py', 'w').write('V = 2\\n')\nimportlib.reload(edited).V").value, 2)


class Context(SessionCase):
    def test_variables_last_from_one_execution_to_the_next(self) -> None:
        self.run_code("import contextvars, asyncio\ncv = contextvars.ContextVar('cv', default='none')\ncv.set('one')")
        self.assertEqual(self.run_code("cv.get()").value, "one")
        self.run_code("await asyncio.sleep(0)\ncv.set('two')")
        self.assertEqual(self.run_code("cv.get()").value, "two")
        self.run_code("cv.set('three'); 1 / 0")
        self.assertEqual(self.run_code("await asyncio.sleep(0, cv.get())").value, "three")
        self.run_code(
            "class R:\n    def __repr__(self): return cv.get()\nclass E(Exception):\n    def __str__(self): return cv.get()"
        )
        self.assertEqual(self.run_code("R()").repr, "three")
        self.assertEqual(self.run_code("raise E").last["exception_message"], "three")

    def test_tasks_go_on_when_they_are_awaited_later(self) -> None:
        self.run_code(
            "import asyncio\nlog = []\nasync def bg():\n    for i in range(3):\n        await asyncio.sleep(0.01)\n        log.append(i)\n"
            "t = asyncio.create_task(bg())\nawait asyncio.sleep(0)"
        )
        self.assertEqual(self.run_code("await t\nlog").value, [0, 1, 2])


class Memory(SessionCase):
    def test_error_keeps_the_state(self) -> None:
        failed = self.run_code("kept = 9\nb = bytearray(10**13)")
        self.assertEqual((failed.error, failed.last["reason"]), ("MemoryError", "out_of_memory"))
        self.assertEqual(self.run_code("kept").value, 9)


class Preloaded(unittest.TestCase):
    def test_modules_that_cannot_be_imported_are_told_by_the_name_of_the_setting(self) -> None:
        import subprocess

        driver = None
        real = subprocess.Popen
        pipes: list[subprocess.Popen[bytes]] = []

        def popen(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
            process = real(*arguments, **options, stderr=subprocess.PIPE)  # type: ignore[call-overload]
            pipes.append(process)
            return process

        subprocess.Popen = popen  # type: ignore[misc,assignment]
        try:
            driver = Driver(preload="no_such_module_here")
        finally:
            subprocess.Popen = real  # type: ignore[misc]
        driver.close()
        stderr = pipes[0].stderr
        assert stderr is not None
        said = stderr.read().decode()
        stderr.close()
        self.assertRegex(said, r"^PRELOAD: no_such_module_here cannot be imported: ModuleNotFoundError")


if __name__ == "__main__":
    unittest.main()
