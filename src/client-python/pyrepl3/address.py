"""Owns where the service is and who calls it: URLs, headers, TLS."""

from __future__ import annotations

import ssl
import uuid
from typing import Callable, Dict, Optional, Union
from urllib.parse import quote, urlencode, urlsplit

Token = Union[str, Callable[[], str], None]
Traceparent = Union[str, Callable[[], Optional[str]], None]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address:
    """The service's base URL, with the client that calls.

    Args:
        url: `http://…` or `https://…`, with a path if the service is not at the root.
        client_id: who calls; a new UUID where absent.
        token: the bearer token, or a function that returns one and is asked at every connection and call.
        tls: the TLS settings; Python's defaults where absent.
        traceparent: the W3C trace that the calls belong to, or a function that returns that of the moment.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: Optional[str] = None,
        token: Token = None,
        tls: Optional[ssl.SSLContext] = None,
        traceparent: Traceparent = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"the service's URL must begin with http:// or https:// and name a host: {url!r}")
        if parts.query or parts.fragment or parts.username:
            raise ValueError("the service's URL must have no query, fragment or user name")
        self.scheme = parts.scheme
        self.host: str = parts.hostname
        self.port: int = parts.port or _DEFAULT_PORTS[parts.scheme]
        self.netloc = parts.netloc
        self.prefix = parts.path.rstrip("/")
        self.client_id = str(uuid.uuid4()) if client_id is None else client_id
        self.token = token
        self.traceparent = traceparent
        self.tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"{self.scheme}://{self.netloc}{self.prefix}"

    def trace(self) -> Optional[str]:
        """Return the `traceparent` of a call of this moment."""
        return self.traceparent() if callable(self.traceparent) else self.traceparent

    def headers(self) -> Dict[str, str]:
        """Return the headers that say who calls."""
        token = self.token() if callable(self.token) else self.token
        return {"client-id": self.client_id, **({} if token is None else {"authorization": f"Bearer {token}"})}

    def target(self, path: str, query: Dict[str, str]) -> str:
        """Return path and query as they stand in a request's first line."""
        return f"{self.prefix}{quote(path, safe='/%')}" + (f"?{urlencode(query)}" if query else "")
