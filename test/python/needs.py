"""Owns which parts of a machine some tests need beside Python itself; test/support/needs.ts names the same parts."""

from __future__ import annotations

import importlib.util
import shutil
import unittest
from collections.abc import Callable
from typing import TypeVar

_Test = TypeVar("_Test", bound=type | Callable[..., object])

REASON_PREFIX = "needs "


def needs(module: str) -> Callable[[_Test], _Test]:
    """Skip a test, or a class of tests, on a machine whose Python lacks a module."""
    spec = importlib.util.find_spec(module)
    # A folder that a removed package left behind has a spec, but no file.
    is_here = spec is not None and spec.origin is not None
    return unittest.skipUnless(is_here, REASON_PREFIX + module)


def needs_command(command: str) -> Callable[[_Test], _Test]:
    """Skip a test, or a class of tests, on a machine that lacks a command."""
    return unittest.skipUnless(shutil.which(command), REASON_PREFIX + command)
