"""Owns loading a checkpoint blob into a live process."""

from __future__ import annotations

import builtins

from ..library import LIBRARY
from ..package_calls import bring_back
from ..packages import list_requirements
from ..wire import KIND_BLOB, ConnectionEnded, from_json
from .blob_format import Meta
from .blob_reader import BlobError, BlobReader, ChunkReader
from .groups import MAX_NAME_CHARS, skipped_entry
from .helpers import make_helpers
from .names import LAST_VALUE, OWN_NAMES
from .pickling import make_unpickler
from .surroundings import NUMPY_STATE, RANDOM_STATE, restore_random_state
from .workspace import restore_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..messages import Load, Message
    from ..session_state import SessionState


MAX_BLOB_BYTES = 8 << 30
_MAX_RESTORED, _MAX_MISSING = 10000, 1000


def receive_and_load(state: SessionState, message: Load) -> Message:
    """Receive the blob's frames and load it; returns the answer."""
    connection = state.connection
    reader = BlobReader()
    failure = None
    while True:
        kind, piece = connection.receive()
        if kind != KIND_BLOB:
            raise ConnectionEnded
        if not piece:
            break
        if reader.size + len(piece) > MAX_BLOB_BYTES:
            failure = BlobError("too_large", f"more than {MAX_BLOB_BYTES} bytes")
        elif failure is None:
            try:
                reader.append(piece)
            except OSError as error:
                failure = BlobError("too_large", str(error))
    try:
        if failure is not None:
            raise failure
        reader.check()
        answer = _Loading(state, clear_existing=message.get("clear_existing", True)).run(reader)
    except BlobError as error:
        return {"type": "load_failed", "id": message["id"], "code": error.code, "detail": error.detail[:500]}
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"[:500]
        return {"type": "load_failed", "id": message["id"], "code": "format", "detail": detail}
    return {"type": "loaded", "id": message["id"], **answer}


class _Loading:
    """The loading of one blob into the namespace."""

    def __init__(self, state: SessionState, *, clear_existing: bool) -> None:
        self._state = state
        self._helpers = make_helpers(state.namespace, state.streams)
        self._restored: list[str] = []
        self._missing: list[dict[str, str]] = []
        if clear_existing:
            for name in [name for name in state.namespace if name not in OWN_NAMES]:
                del state.namespace[name]

    def run(self, reader: BlobReader) -> Message:
        executor = self._state.executor
        executor.count = max(executor.count, int(reader.header.get("executions", 0)))
        for kind, meta, chunks in reader.sections():
            if kind == b"F":
                self._missing.extend(restore_file(self._state.baseline.workspace, meta, chunks))
            elif kind == b"E":
                self._missing.extend(self._state.baseline.restore(_json(chunks)))
            elif kind == b"R":
                requirements = [str(each) for each in _json(chunks).get("requirements", [])]
                self._missing.extend(bring_back(self._state, requirements))
            elif kind == b"S":
                described = _json(chunks)
                executor.book.adopt(described.get("sources", {}), int(described.get("future", 0)))
            elif kind == b"M":
                self._load_modules(_json(chunks))
            elif kind == b"P":
                self._load_names([str(name) for name in meta.get("names", [])], chunks)
        return {
            "restored": sorted(self._restored)[:_MAX_RESTORED],
            "missing": self._missing[:_MAX_MISSING],
            "packages": list_requirements(self._state.baseline.packages_folder),
        }

    def _load_modules(self, modules: Meta) -> None:
        for name, module_name in modules.items():
            try:
                self._state.namespace[name] = (
                    LIBRARY.import_for_user(module_name) if module_name else self._state.namespace
                )
            except BaseException as error:
                self._missing.append({**skipped_entry(name, None, error), "type": "module"})
            else:
                self._restored.append(name)

    def _load_names(self, names: list[str], chunks: list[Any]) -> None:
        unpickler = make_unpickler(ChunkReader(chunks), self._helpers)
        for index, name in enumerate(names):
            try:
                self._set(name, unpickler.load())
            except BaseException as error:
                self._missing.append({**skipped_entry(name, None, error), "type": "unknown"})
                # The rest of this section refers to objects that were not made.
                reason = f"it shares objects with {name!r}, which could not be loaded"
                rest = names[index + 1 :]
                self._missing.extend(
                    {"name": other[:MAX_NAME_CHARS], "type": "unknown", "reason": reason} for other in rest
                )
                return

    def _set(self, name: str, value: Any) -> None:
        if name in (RANDOM_STATE, NUMPY_STATE):
            restore_random_state(name, value)
        elif name == LAST_VALUE:
            builtins._ = value  # type: ignore[attr-defined]
        else:
            self._state.namespace[name] = value
            if not name.startswith("__") and len(name) <= MAX_NAME_CHARS:
                self._restored.append(name)


def _json(chunks: list[Any]) -> Meta:
    described = from_json(b"".join(chunks))
    return described if isinstance(described, dict) else {}
