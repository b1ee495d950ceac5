"""Owns what happens when user code imports matplotlib: figures are displayed without any set-up."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from .guard import interruptible

_BACKEND = "pyrepl_figures"
_BACKEND_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "figures.py")


class FiguresFinder:
    """A meta path finder: knows the backend module, and sets it when matplotlib has been loaded."""

    def __init__(self) -> None:
        self._is_looking = False

    @interruptible
    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return the spec of the backend, or of matplotlib with our step behind its loading."""
        if name == _BACKEND:
            return spec_from_file_location(name, _BACKEND_FILE)
        if name != "matplotlib" or self._is_looking:
            return None
        self._is_looking = True
        try:
            spec = find_spec(name)
        finally:
            self._is_looking = False
        loader: Any = spec.loader if spec is not None else None
        if loader is None:
            return None
        load = loader.exec_module

        def load_and_set(module: ModuleType) -> None:
            load(module)
            _set_backend(module)

        loader.exec_module = interruptible(load_and_set)
        return spec


@interruptible
def show_open_figures() -> None:
    """Display the figures that an execution left open."""
    backend: Any = sys.modules.get(_BACKEND)
    if backend is not None:
        backend.show()


@interruptible
def _set_backend(matplotlib: Any) -> None:
    if not os.environ.get("MPLBACKEND"):
        matplotlib.rcParams["backend"] = f"module://{_BACKEND}"
