"""Owns pickling groups of names into sections; an object that cannot be pickled loses only its own name."""

from __future__ import annotations

import io

from ..values import type_name
from .blob_writer import BlobFull, BlobWriter
from .pickle_writer import PickleWriter
from .pickling import Picklers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

MAX_NAME_CHARS = 200
_IN_MEMORY_BYTES = 4 << 20

Skipped: TypeAlias = "dict[str, str]"


class _Probe:
    """Holds a short pickle, and only counts a long one."""

    def __init__(self, limit: int) -> None:
        self.size = 0
        self.limit = limit
        self.held: io.BytesIO | None = io.BytesIO()

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.size += size
        if self.size > self.limit:
            raise BlobFull
        if self.held is not None:
            self.held.write(data)
            if self.size > _IN_MEMORY_BYTES:
                self.held = None
        return size


def skipped_entry(name: str, value: Any, reason: BaseException) -> Skipped:
    """Return the entry that tells which name was left out, and why."""
    if isinstance(reason, BlobFull):
        text = "larger than what is left of the checkpoint's size limit"
    else:
        try:
            text = str(reason)
        except Exception:
            text = ""
        text = f"{type_name(reason)}: {text}"[:500]
    return {"name": name[:MAX_NAME_CHARS], "type": type_name(value)[:MAX_NAME_CHARS], "reason": text}


def write_group(blob: BlobWriter, picklers: Picklers, values: dict[str, Any], names: list[str]) -> list[Skipped]:
    """Write the pickles of names that share objects as one section; returns entries for the names left out."""
    skipped: list[Skipped] = []
    good = names
    while good:
        probe = _Probe(blob.left)
        failure = _dump(picklers, probe, values, good)
        if failure is None:
            if probe.held is not None:
                blob.write_section(b"P", {"names": good}, probe.held.getvalue())
            elif not _stream(blob, picklers, values, good, probe.size):
                skipped.extend(skipped_entry(name, values[name], RuntimeError("it changed meanwhile")) for name in good)
            return skipped
        bad = _find_bad(blob, picklers, values, good)
        if not bad:
            # Each fits alone, together they do not.
            bad = {good[-1]: failure}
        skipped.extend(skipped_entry(name, values[name], reason) for name, reason in bad.items())
        good = [name for name in good if name not in bad]
    return skipped


def _dump(picklers: Picklers, file: Any, values: dict[str, Any], names: list[str]) -> BaseException | None:
    """Pickle the names one after another with one memo; returns the errors."""
    try:
        writer = PickleWriter(picklers.make, file.write)
        for name in names:
            writer.write(values[name])
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        return error
    return None


def _find_bad(
    blob: BlobWriter, picklers: Picklers, values: dict[str, Any], names: list[str]
) -> dict[str, BaseException]:
    bad: dict[str, BaseException] = {}
    for name in names:
        probe = _Probe(blob.left)
        probe.held = None
        failure = _dump(picklers, probe, values, [name])
        if failure is not None:
            bad[name] = failure
    return bad


def _stream(blob: BlobWriter, picklers: Picklers, values: dict[str, Any], names: list[str], size: int) -> bool:
    section = blob.open_section(b"P", {"names": names})
    try:
        section.announce(size)
        if _dump(picklers, section, values, names) is None and section.is_whole:
            section.close()
            return True
    except BlobFull:
        pass
    section.make_void()
    return False
