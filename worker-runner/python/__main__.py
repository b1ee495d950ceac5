"""Start the keeper: `python3 -I -X utf8 worker-runner/python`, with the environment that docs/channel.md lists."""

from __future__ import annotations

import builtins
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_AT_START = frozenset(sys.modules) - {"__future__", "runpy"}
"""The modules that Python itself has imported, without those that only the start of this file took."""
_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = "pyrepl"
_BUILTINS: dict[str, Any] = dict(vars(builtins))


class _OwnLoader(SourceFileLoader):
    """Gives our modules a builtins dictionary of their own, so that user code does not replace parts of it by accident."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = _BUILTINS
        super().exec_module(module)


class _OwnFinder:
    """Finds our package beside this file, independent of sys.path."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return the spec of one of our modules, None for any other."""
        if name != _PACKAGE and not name.startswith(_PACKAGE + "."):
            return None
        spec = PathFinder.find_spec(name, [_HERE] if path is None else path)
        if spec is not None and spec.origin is not None:
            spec.loader = _OwnLoader(name, spec.origin)
        return spec


def main() -> None:
    """Import the program that the first argument names, by default the keeper, and run it."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
    sys.meta_path.insert(0, _OwnFinder)  # type: ignore[arg-type]
    if sys.argv[1:] == ["installer"]:
        from pyrepl import installer

        sys.meta_path.remove(_OwnFinder)  # type: ignore[arg-type]
        installer.main()
        return
    if sys.argv[1:] == ["zygote"]:
        from pyrepl.zygote import main as run
    elif sys.argv[1:] == ["ward"]:
        from pyrepl.ward import main as run
    elif sys.argv[1:] == ["probe"]:
        from pyrepl.ward import probe as run
    else:
        from pyrepl.keeper_start import main as run
    sys.meta_path.remove(_OwnFinder)  # type: ignore[arg-type]
    run(_AT_START)


if __name__ == "__main__":
    main()
