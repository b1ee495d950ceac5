"""Owns adapting certain library modules when user code imports them, so that they need not be loaded ahead in every process.

getpass asks the client, linecache knows the executions' sources, and matplotlib shows its figures. Without IPython, its module
`display` is ours.
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
_NOTEBOOK = "IPython"
_NOTEBOOK_DISPLAY = "IPython.display"


class _MemoryLoader(SourceFileLoader):
    """Loads a module from the source read at the start: a keeper forked from the zygote does not see the file."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def get_data(self, path: object) -> bytes:
        del path
        return self._source

    def path_stats(self, path: object) -> dict[str, int]:  # type: ignore[override]
        raise OSError(f"{path!r} is in memory")


class _NotebookDisplayLoader(_MemoryLoader):
    """Loads our `IPython.display`. Its code counts as user code: signal handlers run in it, and tracebacks show it."""

    def __init__(self, source: bytes, clear_output: Callable[..., None]) -> None:
        super().__init__(_NOTEBOOK_DISPLAY, f"<{_NOTEBOOK_DISPLAY}>", source)
        self._clear_output = clear_output

    @interruptible
    def exec_module(self, module: Any) -> None:
        """Run the module and give it the function that needs the running execution."""
        super().exec_module(module)
        module.clear_output = self._clear_output


class _NotebookLoader:
    """Makes our `IPython`, a package that holds `display` alone."""

    @staticmethod
    def create_module(_spec: ModuleSpec) -> None:
        """Let the import system make the module."""

    @staticmethod
    def exec_module(module: Any) -> None:
        """Say that no IPython shell runs: libraries ask as soon as a module of this name is loaded."""
        module.get_ipython = _no_shell


def _no_shell() -> None:
    return None


def _read_own(name: str) -> tuple[str, bytes]:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, "rb") as file:
        return path, file.read()


_BACKEND_FILE, _BACKEND_SOURCE = _read_own("figures.py")
_, _DISPLAY_SOURCE = _read_own("ipython_display.py")


class StepFinder:
    """A meta path finder for the modules that we make ourselves; runs a step after each adapted module."""

    def __init__(
        self, steps: dict[str, Callable[[Any], None]], toolbox: Toolbox, clear_output: Callable[..., None]
    ) -> None:
        self._toolbox = toolbox
        self._clear_output = clear_output
        self._notebook = _NotebookLoader()
        self.steps = {"matplotlib": set_backend, **steps}

    @interruptible
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the backend, or of a module whose loading ends with our step."""
        if name == _BACKEND:
            return ModuleSpec(name, _MemoryLoader(name, _BACKEND_FILE, _BACKEND_SOURCE), origin=_BACKEND_FILE)
        if name == TOOLS:
            return self._find_tools(name, path, target)
        if name == _NOTEBOOK:
            return self._find_elsewhere(name, path, target) or ModuleSpec(
                name,
                self._notebook,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
                is_package=True,
            )
        if name == _NOTEBOOK_DISPLAY:
            return self._find_notebook_display()
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
            # A loader may replace the module that it was given.
            step(sys.modules.get(name, module))

        loader.exec_module = interruptible(load_and_step)
        return spec

    def _find_tools(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """Return the spec of the client's tools, unless there are none and the session has a module of this name."""
        if not self._toolbox.names():
            spec = self._find_elsewhere(name, path, target)
            if spec is not None:
                return spec
        return self._toolbox.spec()

    def _find_notebook_display(self) -> ModuleSpec | None:
        """Return the spec of our `IPython.display`, unless user code has an IPython of its own."""
        package = sys.modules.get(_NOTEBOOK)
        if getattr(package, "__loader__", None) is not self._notebook:
            return None
        return ModuleSpec(_NOTEBOOK_DISPLAY, _NotebookDisplayLoader(_DISPLAY_SOURCE, self._clear_output))

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
