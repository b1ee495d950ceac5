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


def cloudpickle_version() -> str | None:
    """Return the version of the installed cloudpickle, or None."""
    try:
        spec = PathFinder.find_spec("cloudpickle")
        if spec is None or spec.origin is None:
            return None
        with open(spec.origin, encoding="utf-8") as source:
            lines = [line for line in source if line.startswith("__version__")]
    except (OSError, ImportError, ValueError):
        return None
    return lines[0].partition("=")[2].strip().strip("'\"") if lines else "unknown"
