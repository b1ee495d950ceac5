"""Owns the module `IPython.display` as user code imports it where IPython is not installed.

User code runs it, so it imports nothing that the workspace could replace. `clear_output` is set by import_hook.py.
"""

from __future__ import annotations

import builtins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "HTML",
    "JSON",
    "SVG",
    "DisplayHandle",
    "DisplayObject",
    "Image",
    "Javascript",
    "Latex",
    "Markdown",
    "clear_output",  # noqa: F822 # pyright: ignore[reportUnsupportedDunderAll]
    "display",
    "update_display",
]

display: Any = builtins.display  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
update_display: Any = builtins.update_display  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]

_IMAGE_STARTS = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


class DisplayHandle:
    """A displayed object that can be replaced where it is shown."""

    def __init__(self, display_id: Any = None) -> None:
        self.display_id: str = make_display_id() if display_id is None else str(display_id)

    def display(self, obj: Any, **options: Any) -> None:
        """Show a value under this id."""
        display(obj, display_id=self.display_id, **options)

    def update(self, obj: Any, **options: Any) -> None:
        """Replace what was shown under this id."""
        update_display(obj, display_id=self.display_id, **options)

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"


class DisplayObject:
    """Content of one media type, given as such, or read from a file or an address."""

    _media_type = "text/plain"
    _is_binary = False

    def __init__(
        self, data: Any = None, url: str | None = None, filename: Any = None, metadata: dict[str, Any] | None = None
    ) -> None:
        self.data = data
        self.url = url
        self.filename = filename
        self.metadata = dict(metadata or {})
        self.reload()

    def reload(self) -> None:
        """Read the content again from the file or the address."""
        if self.filename is not None:
            self.data = self._read(open(self.filename, "rb"))  # noqa: SIM115 # _read closes it.
        elif self.url is not None:
            from urllib.request import urlopen  # Few need it.

            self.data = self._read(urlopen(self.url))

    def _read(self, source: Any) -> Any:
        with source:
            content = source.read()
        return content if self._is_binary else content.decode("utf-8")

    def _content(self) -> Any:
        return self.data

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        del include, exclude
        content = self._content()
        if content is None:
            return {}
        return {self._media_type: content}, {self._media_type: self.metadata} if self.metadata else {}

    def __repr__(self) -> str:
        return f"<IPython.display.{type(self).__name__} object>"


class HTML(DisplayObject):
    """HTML."""

    _media_type = "text/html"


class Markdown(DisplayObject):
    """Markdown."""

    _media_type = "text/markdown"


class SVG(DisplayObject):
    """A vector image."""

    _media_type = "image/svg+xml"


class Latex(DisplayObject):
    """LaTeX."""

    _media_type = "text/latex"


class Javascript(DisplayObject):
    """A script. It is sent as it is; the client decides whether to run it."""

    _media_type = "application/javascript"


class JSON(DisplayObject):
    """A value that JSON can hold, or JSON text."""

    _media_type = "application/json"

    def __init__(
        self,
        data: Any = None,
        url: str | None = None,
        filename: Any = None,
        expanded: bool = False,
        metadata: dict[str, Any] | None = None,
        root: str = "root",
    ) -> None:
        super().__init__(data, url, filename, {"expanded": expanded, "root": root, **(metadata or {})})


class Image(DisplayObject):
    """An image from bytes, a file or an address."""

    _is_binary = True

    def __init__(
        self,
        data: Any = None,
        url: str | None = None,
        filename: Any = None,
        format: str | None = None,
        embed: bool | None = None,
        width: int | None = None,
        height: int | None = None,
        metadata: dict[str, Any] | None = None,
        alt: str | None = None,
    ) -> None:
        if type(data) is str:
            if data.startswith(("http://", "https://")):
                url = data
            else:
                filename = data
            data = None
        if data is None and filename is None and url is None:
            raise ValueError("Image needs data, url or filename")
        self.embed = embed if embed is not None else url is None
        self.format = format
        self.width = width
        self.height = height
        self.alt = alt
        named = {"width": width, "height": height, "alt": alt}
        shown = {name: value for name, value in named.items() if value is not None}
        super().__init__(data, url, filename, {**shown, **(metadata or {})})

    def reload(self) -> None:
        """Read the image again. The client reads an image that is not embedded."""
        if self.embed:
            super().reload()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        del include, exclude
        if not self.embed:
            named = {"src": self.url, "width": self.width, "height": self.height, "alt": self.alt}
            attributes = [f'{name}="{_escape(str(value))}"' for name, value in named.items() if value is not None]
            return {"text/html": f"<img {' '.join(attributes)}/>"}
        media_type = self._image_type()
        return {media_type: self.data}, {media_type: self.metadata} if self.metadata else {}

    def _image_type(self) -> str:
        if self.format is not None:
            name = self.format.lower()
            return "image/jpeg" if name == "jpg" else f"image/{name}"
        for start, media_type in _IMAGE_STARTS:
            if bytes(self.data[: len(start)]) == start:
                return media_type
        return "image/png"


def make_display_id() -> str:
    """Return a new display id."""
    with open("/dev/urandom", "rb", buffering=0) as source:
        return source.read(8).hex()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
