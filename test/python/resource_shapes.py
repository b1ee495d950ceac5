"""Files, packages, environments and variables (docs/protocol.md), described from the prose and not from the TypeScript schemas."""

from __future__ import annotations

import re
from typing import Any, cast

from shape import Shape, above_zero, flag, integer, many, matching, maybe, number, one_of, record, sized, table, text

_session = matching(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")
_path = sized(1, 4096)


def _variables(value: Any, path: str) -> list[str]:
    faults = table(maybe(matching(r"[^\0]*")))(value, path)
    if faults:
        return faults
    names = list(cast("dict[str, Any]", value))
    wrong = [name for name in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name)]
    owned = [name for name in names if name in ("HOME", "PATH") or name.startswith(("LD_", "PYTHON", "PYREPL"))]
    return [f"{path}.{name}: refused" for name in wrong + owned]


session_body = record(
    environment=(matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),), env=(_variables,), idle_seconds=(above_zero,)
)
saved = record(at=number, is_current=flag)
environment = record(
    name=text, python=text, preload=many(text), packages=many(record(name=text, version=text)), default=flag
)
variables = record(
    variables=many(record(name=text, type=text, repr=sized(0, 200), size=integer(0), is_callable=flag)), truncated=flag
)
entry = record(path=text, type=one_of("file", "directory", "link", "other"), size=integer(0), modified_at=number)
changes = many(record(path=text, change=one_of("created", "modified", "deleted"), size=integer(0)))

BODIES: dict[str, Shape] = {
    "SessionBody": session_body,
    "EnvironmentList": record(environments=many(environment)),
    "VariableList": variables,
    "FileList": record(path=text, entries=many(entry), truncated=flag),
    "FileEntry": entry,
    "FileWritten": record(path=text, size=integer(0), etag=text),
    "FilesUploaded": record(files=many(record(path=text, size=integer(0)))),
    "MoveFileBody": record(**{"from": _path, "to": _path, "session": (_session,)}),
    "DirectoryBody": record(path=_path, session=(_session,)),
}


def packages_body(value: Any, path: str) -> list[str]:
    """At least one requirement, each of one line and no option."""
    requirement = matching(r"[^\s-][^\r\n\0]*")
    faults = record(requirements=many(requirement), session=(_session,))(value, path)
    return faults or ([] if value["requirements"] else [f"{path}: wants a requirement"])


BODIES["PackagesBody"] = packages_body
