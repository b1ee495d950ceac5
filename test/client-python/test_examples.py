"""The examples in Python against everything real."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from pyrepl3 import Client
from service import ROOT, Service

sys.path.insert(0, str(ROOT / "examples"))

import run_notebook
from run_code import run_code

# A PNG of one red pixel.
_PNG = (
    "import struct, zlib\n"
    "def piece(name, data): return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))\n"
    "class Figure:\n"
    "    def _repr_png_(self):\n"
    "        head = piece(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 0))\n"
    "        return b'\\x89PNG\\r\\n\\x1a\\n' + head + piece(b'IDAT', zlib.compress(bytes([0, 255, 0, 0]))) + piece(b'IEND', b'')\n"
)


class RunCodeTest(unittest.TestCase):
    """An agent's tool."""

    def test_gives_a_model_output_value_and_traceback(self) -> None:
        with Client(Service.shared().url) as client:
            self.assertEqual(run_code(client, "x = 20\nprint('Hello')\nx + 1").text, "Hello\n21")
            failed = run_code(client, "x = 0\n1 / x").text
            self.assertRegex(failed, r"(?s)^Traceback .*ZeroDivisionError: division by zero$")
            self.assertEqual(run_code(client, "x").text, "20")
            self.assertEqual(run_code(client, "y = 1").text, "(no output)")
            self.assertRegex(run_code(client, "input()").text, "EOFError")

    def test_shortens_long_output_in_its_middle(self) -> None:
        with Client(Service.shared().url) as client:
            text = run_code(client, "print('a' * 9_000 + 'z')").text
        self.assertEqual(text, f"{'a' * 2000}\n[5001 characters left out]\n{'a' * 1999}z")

    def test_gives_a_few_images(self) -> None:
        with Client(Service.shared().url) as client:
            report = run_code(client, f"{_PNG}\nfor _ in range(5): display(Figure())\nFigure()")
        self.assertEqual([image[:6] for image in report.images], ["iVBORw"] * 4)
        self.assertIn("[2 images left out]", report.text)


class NotebookTest(unittest.TestCase):
    """A script of cells."""

    def test_its_docstrings_are_true(self) -> None:
        self.assertEqual(doctest.testmod(run_notebook).failed, 0)

    def test_runs_the_cells_from_the_first_changed_one_on(self) -> None:
        first = "# %% load\nprint('loading')\nruns = globals().get('runs', 0) + 1\n"
        second = f"# %% plot\n{_PNG}\ndisplay(Figure())\n"
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            report = folder / "report.md"
            for last, shown in (("runs * 10", "10"), ("runs * 100", "100"), ("runs * 100", "100")):
                (folder / "cells.py").write_text(f"{first}{second}# %% sum up\n{last}\n")
                self.assertEqual(self.run_program(folder), 0)
                text = report.read_text()
                self.assertIn("```\nloading\n```", text)
                self.assertIn(f"```python\n{last}\n```\n\n```\n{shown}\n```", text)
                self.assertIn("![](report-2-1.png)", text)
            self.assertEqual((folder / "report-2-1.png").read_bytes()[:4], b"\x89PNG")
            with Client(Service.shared().url, client_id="notebook", session="cells") as client:
                # Two runs of the last cell, and one of each other.
                self.assertEqual(len(client.executions().executions), 4)
            (folder / "cells.py").write_text("1 / 0\n# %%\nprint('never')\n")
            self.assertEqual(self.run_program(folder), 1)
            self.assertIn("ZeroDivisionError", report.read_text())
            self.assertNotIn("never", report.read_text())

    def run_program(self, folder: Path) -> int:
        program = str(ROOT / "examples/run_notebook.py")
        command = [sys.executable, program, "cells.py", "report.md", "--url", Service.shared().url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src/client-python")}
        return subprocess.run(command, cwd=folder, env=environment, timeout=60, check=False).returncode
