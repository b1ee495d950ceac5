"""Owns the reasons why a call on files is refused, as codes that the client gets."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    Code: TypeAlias = Literal[
        "invalid_path",
        "invalid_request",
        "not_found",
        "not_empty",
        "precondition_failed",
        "workspace_full",
        "runner_error",
    ]

_CODES: dict[int, Code] = {
    errno.ENOENT: "not_found",
    errno.ENOTEMPTY: "not_empty",
    errno.EEXIST: "not_empty",
    errno.ENOSPC: "workspace_full",
    errno.EDQUOT: "workspace_full",
    errno.EFBIG: "workspace_full",
    errno.ENOTDIR: "invalid_path",
    errno.EISDIR: "invalid_path",
    errno.ELOOP: "invalid_path",
    errno.ENAMETOOLONG: "invalid_path",
    errno.EINVAL: "invalid_path",
    errno.EILSEQ: "invalid_path",
    errno.EACCES: "invalid_path",
    errno.EPERM: "invalid_path",
    errno.EBUSY: "invalid_path",
    errno.EXDEV: "invalid_path",
    errno.ENXIO: "invalid_path",
}
_MAX_DETAIL_CHARS = 500


class Refused(Exception):
    """The call is refused; `detail` reaches the client."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code: Code = code
        self.detail = detail[:_MAX_DETAIL_CHARS]


def refusal_of(error: OSError) -> Refused:
    """Return the refusal that an error of the kernel stands for."""
    number = error.errno or 0
    code = _CODES.get(number, "runner_error")
    if code == "not_found":
        return Refused(code, "There is no such file or folder.")
    if code == "workspace_full":
        return Refused(code, "The workspace has no room for it.")
    if code == "not_empty":
        return Refused(code, "The folder is not empty.")
    return Refused(code, f"{os.strerror(number)}.")
