"""Owns the folder of a session into which packages are installed: where it is, and which packages are in it.

It is the user site of the session's Python, so pip puts packages there by itself, and Pythons that user code starts import
them too. A Python in a venv of its own has no user site; its pip is told the folder instead.
"""

from __future__ import annotations

import os
import sys

from .wire import from_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SITE_FOLDERS = ("site-packages", "dist-packages")
_MAX_LISTED = 1000
_MAX_METADATA_BYTES = 1 << 20
_MAX_TEXT_CHARS = 1024
_DIST_INFO = ".dist-info"


def packages_folder() -> str:
    """Return the folder's path. HOME decides it, so ask before user code can change that."""
    threads = "t" if "t" in getattr(sys, "abiflags", "") else ""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}{threads}"
    return os.path.join(os.path.expanduser("~"), ".local", "lib", version, _SITE_FOLDERS[0])


def has_user_site() -> bool:
    """Say whether Pythons that user code starts look into the user site: those of a closed venv do not."""
    if sys.prefix == sys.base_prefix:
        return True
    try:
        with open(os.path.join(sys.prefix, "pyvenv.cfg"), encoding="utf-8") as file:
            lines = [line.partition("=") for line in file]
    except OSError:
        return False
    return any(key.strip() == "include-system-site-packages" and value.strip() == "true" for key, _, value in lines)


def make_ready(folder: str) -> None:
    """Make the folder, put it on `sys.path`, and have the pip of user code install into it; in a fresh live process.

    The folder comes behind the standard library and before the packages of the environment, as a user site does.
    """
    try:
        # Without the folder, Python would remember that there is nothing to import from.
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if "site" in sys.modules:
        # Python has remembered the folders of the HOME that the zygote had.
        vars(sys.modules["site"]).update(USER_BASE=os.path.join(os.path.expanduser("~"), ".local"), USER_SITE=folder)
    entries = [index for index, entry in enumerate(sys.path) if os.path.basename(entry) in _SITE_FOLDERS]
    sys.path.insert(entries[0] if entries else len(sys.path), folder)
    environ = os.environ
    environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    if not has_user_site():
        environ.setdefault("PIP_TARGET", folder)
        environ.setdefault("PYTHONPATH", folder)
        return
    # Debian's pip refuses to touch a Python of the system. The user site is not a part of it.
    environ.setdefault("PIP_BREAK_SYSTEM_PACKAGES", "1")
    if entries and any(os.access(sys.path[index + 1], os.W_OK) for index in entries):
        # Outside a sandbox, pip would otherwise change the runner's own Python.
        environ.setdefault("PIP_USER", "1")


def list_requirements(folder: str) -> list[str]:
    """Return a requirement for each package in the folder, sorted: `name==version`, or `name @ url` if it came from a URL."""
    found: list[str] = []
    for info in _dist_infos(folder):
        requirement = _requirement_of(os.path.join(folder, info))
        if requirement is not None:
            found.append(requirement)
    return sorted(found)[:_MAX_LISTED]


def top_level_modules(folder: str, requirements: Iterable[str]) -> set[str]:
    """Return the modules that the packages of some requirements consist of."""
    wanted = set(requirements)
    modules: set[str] = set()
    for info in _dist_infos(folder):
        if _requirement_of(os.path.join(folder, info)) not in wanted:
            continue
        for line in _read(os.path.join(folder, info, "RECORD")).splitlines():
            first = line.split(",", 1)[0].split("/", 1)[0]
            name = first.partition(".")[0]
            if name.isidentifier() and (first == name or first.endswith((".py", ".so"))):
                modules.add(name)
    return modules


def name_of(requirement: str) -> str:
    """Return the normalized name of the package that a requirement of `list_requirements` names."""
    return _normalize(requirement.partition("==")[0].partition(" @ ")[0])


def outdated_infos(folder: str) -> list[str]:
    """Return the metadata folders of replaced versions, which pip leaves behind in a folder that it was told."""
    newest: dict[str, tuple[int, str]] = {}
    outdated: list[str] = []
    for info in _dist_infos(folder):
        path = os.path.join(folder, info)
        try:
            age = os.stat(os.path.join(path, "RECORD")).st_mtime_ns
        except OSError:
            age = 0
        name = _normalize(info.partition("-")[0])
        known = newest.get(name)
        if known is None or known[0] < age:
            newest[name] = (age, path)
        if known is not None:
            outdated.append(min(known, (age, path))[1])
    return outdated


def _dist_infos(folder: str) -> list[str]:
    try:
        return sorted(entry for entry in os.listdir(folder) if entry.endswith(_DIST_INFO))
    except OSError:
        return []


def _requirement_of(path: str) -> str | None:
    name = version = ""
    for line in _read(os.path.join(path, "METADATA")).splitlines():
        if not line:
            break
        key, _, value = line.partition(":")
        if key == "Name":
            name = value.strip()
        elif key == "Version":
            version = value.strip()
    if not name or not version:
        return None
    url = _direct_url(path)
    text = f"{name}=={version}" if url is None else f"{name} @ {url}"
    return text if len(text) <= _MAX_TEXT_CHARS and text.isprintable() else None


def _direct_url(path: str) -> str | None:
    """Return the URL that the package was installed from, or None if it came from an index."""
    text = _read(os.path.join(path, "direct_url.json"))
    if not text:
        return None
    try:
        described = from_json(text.encode("ascii", "replace"))
    except ValueError:
        return None
    url = described.get("url") if isinstance(described, dict) else None
    return url if isinstance(url, str) else None


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _MAX_METADATA_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _normalize(name: str) -> str:
    """Return a package's name as PEP 503 compares names."""
    text = name.strip().lower().replace("_", "-").replace(".", "-")
    while "--" in text:
        text = text.replace("--", "-")
    return text
