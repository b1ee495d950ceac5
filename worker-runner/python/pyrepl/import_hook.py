"""Owns adapting certain library modules when user code imports them, so that they need not be loaded ahead in every process.

getpass asks the client, linecache knows the executions' sources, and matplotlib shows its figures.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType

from .guard import interruptible
from .library import LIBRARY
from .tools import NAME as TOOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .tools import Toolbox

_BACKEND = "pyrepl_figures"
_BACKEND_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "figures.py")


with open(_BACKEND_FILE, encoding="utf-8") as _backend_file:
    _BACKEND_SOURCE = _backend_file.read()


class _BackendLoader(SourceFileLoader):
    """Loads the backend from the source read at the start: a keeper forked from the zygote does not see the file."""

    def get_data(self, path: object) -> bytes:
        del path
        return _BACKEND_SOURCE.encode("utf-8")

    def path_stats(self, path: object) -> dict[str, int]:  # type: ignore[override]
        raise OSError(f"{path!r} is in memory")


class StepFinder:
    """A meta path finder for matplotlib's backend and the client's tools; runs a step after each adapted module."""

    def __init__(self, steps: dict[str, Callable[[Any], None]], toolbox: Toolbox) -> None:
        self._toolbox = toolbox
        self.steps = {"matplotlib": set_backend, **steps}

    @interruptible
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the backend, or of a module whose loading ends with our step."""
        if name == _BACKEND:
            return ModuleSpec(name, _BackendLoader(name, _BACKEND_FILE), origin=_BACKEND_FILE)
        if name == TOOLS:
            return self._find_tools(name, path, target)
        step = self.steps.get(name)
        if step is None:
            return None
        spec = self._find_elsewhere(name, path, target)
        loader: Any = None if spec is None else spec.loader
        load = getattr(loader, "exec_module", None)
        if spec is None or load is None or isinstance(loader, type):
            return spec
        if name in sys.stdlib_module_names and not LIBRARY.has(spec):
            return spec  # A file of user code that has the name of a library module.

        def load_and_step(module: ModuleType) -> None:
            load(module)
            step(module)

        loader.exec_module = interruptible(load_and_step)
        return spec

    def _find_tools(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """Return the spec of the client's tools, unless there are none and the session has a module of this name."""
        if not self._toolbox.names():
            spec = self._find_elsewhere(name, path, target)
            if spec is not None:
                return spec
        return self._toolbox.spec()

    @interruptible
    def _find_elsewhere(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        return None


@interruptible
def show_open_figures() -> None:
    """Display the figures that an execution left open."""
    backend: Any = sys.modules.get(_BACKEND)
    if backend is not None:
        backend.show()


@interruptible
def set_backend(matplotlib: Any) -> None:
    """Have matplotlib show its figures as display messages, unless user code chose a backend."""
    if not os.environ.get("MPLBACKEND"):
        matplotlib.rcParams["backend"] = f"module://{_BACKEND}"
