"""Owns the pickler of a checkpoint: our reductions over cloudpickle if it is installed, else over the standard pickler."""

from __future__ import annotations

import _io
import builtins
import functools
import sys
import types

from ..library import LIBRARY
from .by_value import ByValue
from .helpers import HELPER_MODULE, Helper, make_helper_module, make_helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_PROTOCOL = 5
_HEAP_TYPE = 1 << 9
_CacheWrapper = type(functools.lru_cache(len))


class _NamespaceMark:
    """Stands inside a pickle for the namespace of a module that exists already, mostly `__main__`."""

    __slots__ = ("module_name",)

    def __init__(self, module_name: str) -> None:
        self.module_name = module_name


class Picklers:
    """Makes picklers for one session. For the serializer only: it registers the helpers in sys.modules."""

    def __init__(self, namespace: dict[str, Any], main_module: types.ModuleType, streams: Sequence[Any]) -> None:
        self.namespace = namespace
        self.helpers: dict[str, Helper] = make_helpers(namespace, streams)
        sys.modules[HELPER_MODULE] = make_helper_module(self.helpers)
        self.elsewhere = {id(namespace), id(main_module), id(vars(builtins)), *map(id, streams)}
        self._stream_index = {id(stream): index for index, stream in enumerate(streams)}
        # Classes of user code whose instances need no reduction of ours: one check per class is enough.
        self.plain_kinds: set[type] = set()
        self._marks: dict[str, _NamespaceMark] = {}
        self.by_value = ByValue(self.helpers, self.is_elsewhere, self.mark_namespace)
        self._make = _cloud_pickler(self) or _plain_pickler(self)

    def make(self, file: Any) -> Any:
        """Return a new pickler that writes to `file`."""
        return self._make(file)

    def mark_namespace(self, namespace: dict[str, Any]) -> Any:
        """Return a mark if `namespace` is that of a module which a new process has too, otherwise `namespace` itself."""
        module_name = "__main__" if namespace is self.namespace else namespace.get("__name__")
        module = sys.modules.get(module_name) if isinstance(module_name, str) else None
        if not isinstance(module_name, str) or module is None or vars(module) is not namespace:
            return namespace
        return self._marks.setdefault(module_name, _NamespaceMark(module_name))

    def is_elsewhere(self, value: Any) -> bool:
        """Say whether pickles refer to `value` by a name instead of holding it."""
        if id(value) in self.elsewhere:
            return True
        if type(value) is not types.FunctionType and not issubclass(type(value), type):
            return False
        return self.is_elsewhere_by_name(value)

    @staticmethod
    def is_elsewhere_by_name(value: Any) -> bool:
        """Say whether `value` can be found by its module and name, outside of `__main__`."""
        try:
            module_name, path = value.__module__, value.__qualname__
            found: Any = sys.modules[module_name]
            if module_name == "__main__":
                return False
            for part in path.split("."):
                found = getattr(found, part)
        except (AttributeError, KeyError, TypeError):
            return False
        return found is value

    def reduce(self, value: Any) -> Any:
        """Return the reduction of a value that needs one of ours, NotImplemented for any other."""
        tie = self._reduce_tie(value)
        reduced = self.by_value.reduce(value) if tie is NotImplemented else tie
        kind = type(value)
        is_of_user = kind.__flags__ & _HEAP_TYPE and kind.__module__ == "__main__" and not issubclass(kind, type)
        if reduced is NotImplemented and is_of_user:
            self.plain_kinds.add(kind)
        return reduced

    def _reduce_tie(self, value: Any) -> Any:
        """Return the reduction of an object that belongs to the session itself."""
        kind = type(value)
        index = self._stream_index.get(id(value))
        if kind is _NamespaceMark:
            return self.helpers["get_namespace"], (value.module_name,)
        if kind is types.ModuleType:
            if sys.modules.get(value.__name__) is value:
                return self.helpers["_import_module"], (value.__name__,)
            return NotImplemented
        if isinstance(value, _io._IOBase) and not isinstance(value, (_io.BytesIO, _io.StringIO)) and index is None:
            raise TypeError("an open file cannot be saved")
        if kind is _CacheWrapper and not self.is_elsewhere_by_name(value):
            wrapper: Any = value
            options = wrapper.cache_parameters()
            return self.helpers["_make_cached"], (wrapper.__wrapped__, options["maxsize"], options["typed"])
        return NotImplemented if index is None else (self.helpers["get_stream"], (index,))


def _cloud_pickler(picklers: Picklers) -> Any:
    try:
        cloudpickle = LIBRARY.load("cloudpickle")
    except Exception:
        return None
    base: Any = cloudpickle.CloudPickler
    plain_kinds = picklers.plain_kinds

    class CloudPickler(base):
        """Our reductions first; cloudpickle for the rest: dynamic modules, loggers, weak sets and so on."""

        def __init__(self, file: Any) -> None:
            super().__init__(file, protocol=_PROTOCOL)

        def reducer_override(self, value: Any) -> Any:
            if type(value) in plain_kinds:
                return NotImplemented
            reduced = picklers.reduce(value)
            return super().reducer_override(value) if reduced is NotImplemented else reduced

    return CloudPickler


def _plain_pickler(picklers: Picklers) -> Any:
    pickle = LIBRARY.load("pickle")
    base: Any = pickle.Pickler
    plain_kinds = picklers.plain_kinds

    class PlainPickler(base):
        """The standard library's pickler with our reductions."""

        def __init__(self, file: Any) -> None:
            super().__init__(file, protocol=_PROTOCOL)

        def reducer_override(self, value: Any) -> Any:
            return NotImplemented if type(value) in plain_kinds else picklers.reduce(value)

    return PlainPickler


def make_unpickler(file: Any, helpers: dict[str, Callable[..., Any]]) -> Any:
    """Return an unpickler that knows the helpers."""
    pickle = LIBRARY.load("pickle")

    base: Any = pickle.Unpickler

    class CheckpointUnpickler(base):
        """Resolves the helpers' module without looking in sys.modules."""

        def find_class(self, module_name: str, global_name: str) -> Any:
            if module_name == HELPER_MODULE:
                return helpers[global_name]
            LIBRARY.import_for_user(module_name)
            return super().find_class(module_name, global_name)

    return CheckpointUnpickler(file)
