"""Owns what REST calls return, as Python objects; `raw` has each as it came."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Type, TypeVar

R = TypeVar("R", bound="Record")


@dataclass(frozen=True)
class Record:
    """An answer of the service."""

    raw: Mapping[str, Any] = field(repr=False, compare=False)


def record_of(kind: Type[R], raw: Mapping[str, Any]) -> R:
    """Return the answer as a record: fields that it lacks are None, fields that are not known stay in `raw`.

    >>> record_of(FileEntry, {"path": "a.txt", "type": "file", "size": 3, "modified_at": 1.5})
    FileEntry(path='a.txt', type='file', size=3, modified_at=1.5)
    """
    names = [one.name for one in dataclasses.fields(kind) if one.name != "raw"]
    return kind(raw=raw, **{name: raw.get(name) for name in names})


def records_of(kind: Type[R], raw: Any) -> List[R]:
    """Return a list of answers as records."""
    return [record_of(kind, entry) for entry in raw]


@dataclass(frozen=True)
class Checkpoint(Record):
    """A saved state. `skipped` names what could not be saved; `size` is in bytes."""

    checkpoint_id: str
    name: Optional[str]
    created_at: float
    size: int
    durable: bool
    skipped: List[Dict[str, str]]


@dataclass(frozen=True)
class Restored(Record):
    """A state brought back. `missing` names what could not be; `source` is `snapshot` or `stored`."""

    status: str
    checkpoint_id: str
    source: str
    missing: List[Dict[str, str]]


@dataclass(frozen=True)
class Undone(Record):
    """The state as before `execution_id`."""

    status: str
    execution_id: str
    source: str


@dataclass(frozen=True)
class SessionOverview(Record):
    """A session as it is now; sizes in `memory` are bytes, times are Unix seconds."""

    client_id: str
    session: str
    state: str
    created_at: Optional[float]
    last_active_at: Optional[float]
    last_seq: int
    first_seq: int
    running: Optional[str]
    queued: int
    pending_input: Optional[Dict[str, Any]]
    executions: int
    checkpoints: int
    sockets: int
    memory: Dict[str, Optional[int]]
    runner: Optional[Dict[str, str]]
    environment: Optional[str]
    env_names: Optional[List[str]]
    saved: Optional[Dict[str, Any]]
    undo: Optional[List[str]]
    packages: Optional[List[str]]


@dataclass(frozen=True)
class Branched(Record):
    """A new session with the state of another; `overview` is the new session's."""

    from_session: str
    checkpoint_id: str
    missing: List[Dict[str, str]]
    overview: SessionOverview


@dataclass(frozen=True)
class Execution(Record):
    """An execution as the service keeps it; `error` and `result` have the fields of these events."""

    execution_id: str
    session: str
    status: str
    code: str
    transaction_policy: str
    timeout: float
    submitted_at: float
    started_at: Optional[float]
    finished_at: Optional[float]
    execution_time: Optional[float]
    stdout: str
    stderr: str
    displays: Optional[List[Dict[str, Any]]]
    result: Optional[Dict[str, Any]]
    error: Optional[Dict[str, Any]]
    output_truncated: bool
    pending_input: Optional[Dict[str, Any]]
    pending_tool_calls: Optional[List[Dict[str, Any]]]
    waiting_for: Optional[str]
    first_seq: Optional[int]
    last_seq: Optional[int]


@dataclass(frozen=True)
class ExecutionPage(Record):
    """Executions, newest first; pass `next` as `before` for the next page, None on the last one."""

    executions: List[Execution]
    next: Optional[str]


@dataclass(frozen=True)
class Completions(Record):
    """Names that fit; each replaces `code[cursor_start:cursor_end]`."""

    matches: List[str]
    cursor_start: int
    cursor_end: int


@dataclass(frozen=True)
class Completeness(Record):
    """`status` is `complete`, `incomplete` (the next line begins with `indent`) or `invalid`."""

    status: str
    indent: Optional[str]


@dataclass(frozen=True)
class Variable(Record):
    """A name of the user's in the session."""

    name: str
    type: str
    repr: Optional[str]
    size: Optional[int]
    is_callable: bool


@dataclass(frozen=True)
class Environment(Record):
    """A Python that sessions can have; `packages` has `name` and `version` of each."""

    name: str
    python: str
    preload: List[str]
    packages: List[Dict[str, str]]
    default: bool


@dataclass(frozen=True)
class FileEntry(Record):
    """A file or folder of the workspace; `type` is `file`, `directory`, `link` or `other`, `size` in bytes."""

    path: str
    type: Optional[str]
    size: int
    modified_at: Optional[float]


@dataclass(frozen=True)
class FileListing(Record):
    """A folder's entries, sorted by path; `truncated` where there are more."""

    path: str
    entries: List[FileEntry]
    truncated: bool


@dataclass(frozen=True)
class FileWritten(Record):
    """A file as it was written; pass `etag` as `if_match` to replace this version only."""

    path: str
    size: int
    etag: Optional[str]
