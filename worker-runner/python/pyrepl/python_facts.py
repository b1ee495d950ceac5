"""Owns what the keeper tells about its Python in `hello`."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Any

_VERSION = re.compile(r"^__version__\s*=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)


def python_facts() -> dict[str, Any]:
    """Return version, implementation and serializer, without importing the latter."""
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
        spec = importlib.util.find_spec("cloudpickle")
        if spec is None or spec.origin is None:
            return None
        with open(spec.origin, encoding="utf-8") as source:
            found = _VERSION.search(source.read())
    except (OSError, ImportError, ValueError):
        return None
    return found.group(1) if found else "unknown"
