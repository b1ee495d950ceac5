"""Owns the exceptions of this package: one class for each problem code of the service, and those of the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Type

if TYPE_CHECKING:
    from .outcome import Outcome


class PyREPL3Error(Exception):
    """Every exception that this package raises on purpose."""


class ConnectionLostError(PyREPL3Error):
    """The service could not be reached, or not again within `reconnect_seconds`."""


class ProtocolError(PyREPL3Error):
    """The other end sent something that HTTP, WebSocket or the wire contract does not allow."""


class ClientClosedError(PyREPL3Error):
    """The client was closed before the call was over."""


class ExecutionFailedError(PyREPL3Error):
    """Code ended in `error`; raised by `Outcome.check` only.

    Attributes:
        outcome: everything that is known of the execution, its traceback included.
    """

    def __init__(self, outcome: Outcome) -> None:
        error = outcome.error
        super().__init__(error.traceback.rstrip() if error else outcome.status)
        self.outcome = outcome


class ServiceError(PyREPL3Error):
    """The service refused a call, or failed at it (an RFC 9457 problem).

    Attributes:
        code: the problem's code, such as `not_found`.
        status: the HTTP status that belongs to it.
        detail: one sentence about this case.
        errors: the wrong fields, each with `path` and `message`.
        retry_after: seconds after which the same call may succeed, or None.
        request_id: what the service's log calls this request.
        problem: the whole object as it came.
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem: Dict[str, Any] = dict(problem)
        self.code: str = str(problem.get("code", ""))
        self.status: int = int(problem.get("status", 0))
        self.title: str = str(problem.get("title", ""))
        self.detail: str = str(problem.get("detail", ""))
        self.errors: List[Dict[str, str]] = list(problem.get("errors", []))
        self.retry_after: Optional[float] = problem.get("retry_after")
        self.request_id: str = str(problem.get("request_id", ""))
        fields = "".join(f"; {error.get('path')}: {error.get('message')}" for error in self.errors)
        super().__init__(f"{self.code}: {self.detail or self.title}{fields}")


class RefusedError(ServiceError):
    """The caller is wrong (4xx)."""


class FailedError(ServiceError):
    """The service failed (5xx)."""


class InvalidRequestError(RefusedError):
    """A field is missing or wrong; `errors` names it."""


class InvalidPathError(RefusedError):
    """The path leaves the workspace."""


class ClientIdRequiredError(RefusedError):
    """No client id was sent."""


class ClientIdInvalidError(RefusedError):
    """The client id does not match the pattern."""


class UnauthorizedError(RefusedError):
    """The token is missing, wrong or expired."""


class ForbiddenError(RefusedError):
    """The token does not allow this."""


class OriginNotAllowedError(RefusedError):
    """Pages of this origin may not call."""


class PackagesDisabledError(RefusedError):
    """This service installs no packages."""


class NotFoundError(RefusedError):
    """There is no such thing."""


class IdempotencyConflictError(RefusedError):
    """The execution id was used with other code."""


class EnvironmentConflictError(RefusedError):
    """The environment cannot change while the session has state."""


class NotEmptyError(RefusedError):
    """The folder is not empty."""


class SessionExistsError(RefusedError):
    """A session with this name exists."""


class CheckpointUnavailableError(RefusedError):
    """The checkpoint is no longer available."""


class UndoUnavailableError(RefusedError):
    """The state before this execution is no longer kept."""


class PreconditionFailedError(RefusedError):
    """The file is not in the version that the call expects."""


class PayloadTooLargeError(RefusedError):
    """The code or body is larger than the service takes."""


class WorkspaceFullError(RefusedError):
    """The file does not fit into the workspace."""


class RangeNotSatisfiableError(RefusedError):
    """The file does not have this range."""


class UpgradeRequiredError(RefusedError):
    """The address takes WebSockets only."""


class RateLimitedError(RefusedError):
    """Too many messages; `retry_after` says how long to wait."""


class SessionLimitError(RefusedError):
    """The client has as many sessions as it may have."""


class QueueFullError(RefusedError):
    """The session has as many queued executions as it may have."""


class InternalError(FailedError):
    """The service failed; `request_id` names the request in its log."""


class RunnerError(FailedError):
    """The runner failed at this call."""


class NoRunnerError(FailedError):
    """No runner is available; `retry_after` says how long to wait."""


class PoolExhaustedError(FailedError):
    """Every interpreter is in use; `retry_after` says how long to wait."""


class StorageFullError(FailedError):
    """The service's store is full."""


ERROR_CLASSES: Mapping[str, Type[ServiceError]] = {
    "invalid_request": InvalidRequestError,
    "invalid_path": InvalidPathError,
    "client_id_required": ClientIdRequiredError,
    "client_id_invalid": ClientIdInvalidError,
    "unauthorized": UnauthorizedError,
    "forbidden": ForbiddenError,
    "origin_not_allowed": OriginNotAllowedError,
    "packages_disabled": PackagesDisabledError,
    "not_found": NotFoundError,
    "idempotency_conflict": IdempotencyConflictError,
    "environment_conflict": EnvironmentConflictError,
    "not_empty": NotEmptyError,
    "session_exists": SessionExistsError,
    "checkpoint_unavailable": CheckpointUnavailableError,
    "undo_unavailable": UndoUnavailableError,
    "precondition_failed": PreconditionFailedError,
    "payload_too_large": PayloadTooLargeError,
    "workspace_full": WorkspaceFullError,
    "range_not_satisfiable": RangeNotSatisfiableError,
    "upgrade_required": UpgradeRequiredError,
    "rate_limited": RateLimitedError,
    "session_limit": SessionLimitError,
    "queue_full": QueueFullError,
    "internal": InternalError,
    "runner_error": RunnerError,
    "no_runner": NoRunnerError,
    "pool_exhausted": PoolExhaustedError,
    "storage_full": StorageFullError,
}


def error_of(problem: Mapping[str, Any]) -> ServiceError:
    """Return the exception for a problem; a code that this version does not know gets the class of its status.

    >>> error_of({"code": "not_found", "status": 404, "detail": "There is no such checkpoint."})
    NotFoundError('not_found: There is no such checkpoint.')
    >>> error_of({"code": "of_the_future", "status": 409, "detail": "No."})
    RefusedError('of_the_future: No.')
    """
    known = ERROR_CLASSES.get(str(problem.get("code", "")))
    if known is not None:
        return known(problem)
    return (FailedError if int(problem.get("status", 0)) >= 500 else RefusedError)(problem)
