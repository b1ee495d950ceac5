"""Owns the installer: a process of its own that runs pip. Its only way to a network is the runner, which asks the package index.

The keeper starts it. pip speaks to a proxy in this process, which passes each request on over the channel. User code can neither
read this process nor use the proxy, which asks for a secret.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import signal
import sys
import threading

from . import linux
from .index_proxy import IndexProxy
from .packages import has_user_site, list_requirements, outdated_infos, packages_folder
from .rendezvous import CHANNEL, DOOR_FD
from .wire import connect, from_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEPT_BYTES = 65536
_MAX_DETAIL_CHARS = 2000
_ERROR_LINE = re.compile(r"^\s*(?:ERROR|error):\s*(.*)", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BUILD_FAILED = ("metadata-generation-failed", "subprocess-exited-with-error", "Failed building", "Could not build")
_NO_SPACE = ("No space left on device", "No usable temporary directory", "File too large")
_NO_PIP = "The session's Python has no pip. The operator can add it: apt install python3-pip, or python -m ensurepip."


class _ErrorOutput:
    """Passes on the bytes written to fd 2, and keeps the last of them."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._original = os.dup(2)
        reading, writing = os.pipe()
        os.dup2(writing, 2, inheritable=True)
        os.close(writing)
        self._thread = threading.Thread(target=self._copy, args=(reading,), daemon=True)
        self._thread.start()

    def _copy(self, reading: int) -> None:
        while piece := os.read(reading, 8192):
            self._kept += piece
            del self._kept[:-_KEPT_BYTES]
            os.write(self._original, piece)

    def take(self) -> str:
        """End the copying and return the text that was kept."""
        sys.stderr.flush()
        os.dup2(self._original, 2, inheritable=True)
        # A process that a build has left behind may still hold the pipe.
        self._thread.join(1)
        return _COLOUR.sub("", self._kept.decode("utf-8", "replace"))


def main() -> None:
    """Run one installation, report how it ended, and exit. The request comes on standard input."""
    linux.set_dumpable(False)
    linux.die_with_parent(signal.SIGKILL)
    request: dict[str, Any] = from_json(sys.stdin.buffer.read())
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0, inheritable=True)
    if request["is_quiet"]:
        os.dup2(null, 1, inheritable=True)
        os.dup2(null, 2, inheritable=True)
    os.close(null)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    channel = os.environ["PYREPL_CHANNEL"]
    connection = connect(channel)
    if channel == CHANNEL:
        os.close(DOOR_FD)
    connection.send_message({"type": "hello", "role": "installer", "token": request["token"], "pid": os.getpid()})
    proxy = IndexProxy(connection)
    detail = _install(request, proxy)
    folder = packages_folder()
    connection.send_message(
        {
            "type": "installed",
            "status": "ok" if detail is None else "unavailable" if proxy.problem is not None else "failed",
            "detail": detail or "",
            "packages": list_requirements(folder),
        }
    )
    os._exit(0)


def _install(request: dict[str, Any], proxy: IndexProxy) -> str | None:
    """Run pip; returns why it failed."""
    folder = packages_folder()
    try:
        import pip  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
    except ImportError:
        return _NO_PIP
    try:
        os.chdir(request["cwd"])
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        return str(error)
    _set_environment(request, proxy)
    # pip must see what is installed there; nothing of it is imported, since the path comes last.
    sys.path.append(folder)
    place = ["--user"] if has_user_site() else [f"--target={folder}", "--upgrade"]
    sys.argv = ["pip", "install", "--no-warn-script-location", *place, *request["arguments"]]
    import site

    site.ENABLE_USER_SITE = True
    errors = _ErrorOutput()
    code = _run_pip()
    if code == 0:
        for path in [] if has_user_site() else outdated_infos(folder):
            shutil.rmtree(path, ignore_errors=True)
        errors.take()
        return None
    return _explain(code, errors.take(), proxy.problem)


def _set_environment(request: dict[str, Any], proxy: IndexProxy) -> None:
    # Some versions of pip prefer the proxy of the environment, which is that of user code, to their own argument.
    for name in [
        name for name in os.environ if name.startswith(("PYREPL_", "PIP_")) or name.lower().endswith("_proxy")
    ]:
        del os.environ[name]
    os.environ.update(
        PIP_INDEX_URL=request["index_url"],
        PIP_TRUSTED_HOST=" ".join(request["hosts"]),
        PIP_PROXY=proxy.url,
        PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="0",
        # The runner decides when the index is too slow.
        PIP_TIMEOUT="600",
        PIP_NO_INPUT="1",
        PIP_NO_CACHE_DIR="1",
        PIP_PROGRESS_BAR="off",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_ROOT_USER_ACTION="ignore",
        PIP_BREAK_SYSTEM_PACKAGES="1",
        PYTHONDONTWRITEBYTECODE="1",
    )


def _run_pip() -> int:
    try:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0 if ending.code is None else 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        print(f"ERROR: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _explain(code: int, text: str, problem: str | None) -> str:
    lines = [line.strip() for line in _ERROR_LINE.findall(text) if line.strip()]
    if "Exception:" in lines:
        # pip did not expect it. The last line of the traceback that follows says what it was.
        lines = [line for line in lines if line != "Exception:"] + text.strip().splitlines()[-1:]
    said = " ".join(dict.fromkeys(line.rstrip(".") + "." for line in lines)) or f"pip ended with code {code}."
    if problem is not None:
        said = f"{problem} {said}"
    elif any(phrase in text for phrase in _NO_SPACE):
        said = f"There is no room left in the session for these packages. {said}"
    elif any(phrase in text for phrase in _BUILD_FAILED):
        said = f"A package could not be built; the output says why. {said}"
    return said[:_MAX_DETAIL_CHARS]
