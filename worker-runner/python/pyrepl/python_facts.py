"""Owns the description of this Python that the keeper sends in `hello`."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def python_facts() -> dict[str, Any]:
    """Return version, implementation and serializer, without importing the serializer."""
    cloudpickle = cloudpickle_version()
    return {
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "serializer": "source" if cloudpickle is None else "cloudpickle",
        "cloudpickle": cloudpickle,
    }


def serializer_file() -> str | None:
    """Return the file of the installed cloudpickle, or None."""
    try:
        spec = PathFinder.find_spec("cloudpickle")
    except (OSError, ImportError, ValueError):
        return None
    return None if spec is None else spec.origin


def cloudpickle_version() -> str | None:
    """Return the version of the installed cloudpickle, or None."""
    file = serializer_file()
    if file is None:
        return None
    try:
        with open(file, encoding="utf-8") as source:
            lines = [line for line in source if line.startswith("__version__")]
    except (OSError, ValueError):
        return None
    return lines[0].partition("=")[2].strip().strip("'\"") if lines else "unknown"
