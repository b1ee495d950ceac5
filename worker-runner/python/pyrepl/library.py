"""Owns importing library modules for our own code, from folders that user code does not choose.

Our modules import some library modules only when they need them. The workspace is then first on `sys.path`, and may have files of
the same names. An import of ours finds the library's module, also if user code has imported its own file under that name.
Such modules are kept apart from `sys.modules`. If user code imports the name later, it gets its own file, if it has one, as from
any Python; otherwise it gets the module that is kept.
"""

from __future__ import annotations

import _thread
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from types import FrameType, ModuleType

from .guard import interruptible
from .own_modules import OWN_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

_SERIALIZER = "cloudpickle"
_NAMES = frozenset((*sys.stdlib_module_names, _SERIALIZER))
_STEP_FINDER = "pyrepl.import_hook"
_FINDER_FILES = frozenset((OWN_PREFIX + "library.py", OWN_PREFIX + "import_hook.py"))
_modules = sys.modules
_import: Any = __import__
_get_frame = sys._getframe
_get_ident = _thread.get_ident


class _KeptLoader:
    """Hands out a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    @staticmethod
    def create_module(_spec: ModuleSpec) -> None:
        """Let the import system make a module, which `exec_module` replaces."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the kept module in the new one's place."""
        _modules[module.__name__] = self._module


class Library:
    """The library as our code imports it, and the finder through which all imports pass."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._folders: tuple[str, ...] = ()
        self._kept: dict[str, ModuleType] = {}
        self._found: set[str] = set()
        self._lock = _thread.RLock()
        self._loading_thread = 0
        self._is_for_user = False

    def install(self) -> None:
        """Note the library's folders, in the keeper, before the workspace is on `sys.path`."""
        self._path = list(sys.path)
        self._folders = tuple(entry.rstrip("/") + "/" for entry in self._path if entry)
        sys.meta_path.insert(0, self)  # pyright: ignore[reportArgumentType]

    def put_aside(self, names: Collection[str]) -> None:
        """Keep modules that our code has imported and a bare Python has not: user code may have files of these names."""
        for name in names:
            if _is_of_library(name) and name in _modules:
                self._kept[name] = _modules.pop(name)

    def load(self, name: str, prepare: Callable[[Any], object] | None = None) -> Any:
        """Return a module of the library; ImportError if there is none.

        `prepare` is called at the first load, while `sys.modules` has nothing of user code under the library's names.
        """
        found = self._kept.get(name)
        if found is not None:
            return found
        with self._lock:
            foreign = {each: _modules[each] for each in list(_modules) if self._is_foreign(each)}
            for each in foreign:
                del _modules[each]
            before = self._loading_thread
            self._loading_thread = _get_ident()
            try:
                _import(name)
                self._kept[name] = _modules[name]
                if prepare is not None:
                    prepare(_modules[name])
            finally:
                self._loading_thread = before
                self.settle()
                _modules.update(foreign)
        return self._kept[name]

    def loaded(self, name: str) -> Any:
        """Return a module of the library if anybody has loaded it, otherwise None."""
        kept = self._kept.get(name)
        if kept is not None or name not in _modules or self._is_foreign(name):
            return kept
        return _modules[name]

    def settle(self) -> None:
        """Move the modules that our code has imported out of `sys.modules`."""
        while self._found:
            name = self._found.pop()
            # A module may have made others below itself, as `typing` does.
            for each in [each for each in list(_modules) if each == name or each.startswith(name + ".")]:
                self._kept[each] = _modules.pop(each)

    def import_for_user(self, name: str) -> Any:
        """Import a module as user code would, its own files first."""
        before = self._is_for_user
        self._is_for_user = True
        try:
            _import(name)
            return _modules[name]
        finally:
            self._is_for_user = before

    def show_all(self) -> None:
        """Put what is kept into `sys.modules`, for picklers, which look there; in a process that runs no more executions."""
        for name, module in self._kept.items():
            _modules.setdefault(name, module)
        # The interpreter itself takes this one from there for every reduction.
        _modules["copyreg"] = self.load("copyreg")

    def has(self, spec: ModuleSpec) -> bool:
        """Say whether a spec is that of a module in the library's folders."""
        return isinstance(spec.origin, str) and spec.origin.startswith(self._folders)

    def has_file(self, file: str) -> bool:
        """Say whether a file of code, as `co_filename` shows it, is in the library's folders."""
        return file.startswith(("<frozen ", *self._folders))

    @interruptible
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the library's spec for an import of ours, or that of a kept module; None leaves the name to other finders."""
        if self._loading_thread == _get_ident():
            # A module of the library may try names that are not of the library, and expects to be told that there are none.
            spec = self._spec_of(name, path)
            if spec is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            self._found.add(name)
            return spec
        if not _is_of_library(name):
            return None
        if not self._is_for_user and self._is_called_by_us():
            self._found.add(name)
            return self._spec_of(name, path)
        if name not in self._kept:
            return None
        spec = self._find_elsewhere(name, path, target)
        kept = self._kept[name]
        if spec is None or spec.origin != getattr(kept.__spec__, "origin", None):
            return None
        return ModuleSpec(name, _KeptLoader(kept), origin=spec.origin)  # type: ignore[arg-type]

    def _spec_of(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        kept = self._kept.get(name)
        if kept is not None:
            return ModuleSpec(name, _KeptLoader(kept))  # type: ignore[arg-type]
        if path is not None:
            return PathFinder.find_spec(name, path)
        return (
            BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name) or PathFinder.find_spec(name, self._path)
        )

    @interruptible
    def _find_elsewhere(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is self or type(finder).__module__ == _STEP_FINDER:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        return None

    def _is_called_by_us(self) -> bool:
        """Say whether the function of the library that imports was called by our code, and not by user code."""
        frame: FrameType | None = _get_frame(2)
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(OWN_PREFIX):
                if file not in _FINDER_FILES:
                    return True
            elif not self.has_file(file):
                return False
            frame = frame.f_back
        return False

    def _is_foreign(self, name: str) -> bool:
        """Say whether user code has put something else under a name of the library."""
        if not _is_of_library(name) or name == "__main__":
            return False
        spec = getattr(_modules[name], "__spec__", None)
        origin = getattr(spec, "origin", None)
        if origin in ("built-in", "frozen"):
            return False
        return not (isinstance(origin, str) and origin.startswith(self._folders))


def _is_of_library(name: str) -> bool:
    return name.partition(".")[0] in _NAMES


LIBRARY = Library()
"""The one library of this process."""
