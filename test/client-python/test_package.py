"""The package: its examples run as they stand, and its wheel works where nothing else is installed."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import pyrepl3
from needs import needs
from service import ROOT, Service

_DOCUMENTED_URL = "http://127.0.0.1:8787"


class ExamplesTest(unittest.TestCase):
    """Docstrings name the default address; here the service has a port of its own."""

    def test_every_example_in_a_docstring_is_true(self) -> None:
        finder = doctest.DocTestFinder()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        names = [f"pyrepl3.{module.name}" for module in pkgutil.iter_modules(pyrepl3.__path__)]
        for name in ["pyrepl3", *names]:
            for example in finder.find(importlib.import_module(name), name):
                for step in example.examples:
                    step.source = step.source.replace(_DOCUMENTED_URL, Service.shared().url)
                runner.run(example)
        self.assertEqual(runner.failures, 0)
        self.assertGreater(runner.tries, 10)


@needs("pip")
@needs("setuptools")
@needs("wheel")
class WheelTest(unittest.TestCase):
    """A wheel is built and installed without any network."""

    def test_the_wheel_installs_and_runs(self) -> None:
        with tempfile.TemporaryDirectory(prefix="pyrepl3-wheel-") as folder:
            source = Path(folder, "source")
            shutil.copytree(ROOT / "src/client-python", source, ignore=shutil.ignore_patterns("__pycache__"))
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
            offline = ["--no-index", "--no-deps"]
            environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
            built = [*pip, "wheel", *offline, "--no-build-isolation", "-w", folder, str(source)]
            subprocess.run(built, check=True, timeout=120, env=environment)
            (wheel,) = Path(folder).glob("*.whl")
            site = Path(folder, "site")
            subprocess.run(
                [*pip, "install", *offline, "--target", str(site), str(wheel)], check=True, timeout=120, env=environment
            )
            self.assertTrue((site / "pyrepl3/py.typed").exists())
            code = (
                "import sys, pyrepl3; from pyrepl3 import Client\n"
                "with Client(sys.argv[1]) as client: print(pyrepl3.__file__, client.run('6 * 7').value)"
            )
            ran = subprocess.run(
                [sys.executable, "-c", code, Service.shared().url],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            self.assertEqual(ran.stdout.split(), [str(site / "pyrepl3/__init__.py"), "42"])
