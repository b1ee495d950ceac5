"""Owns the framing of WebSocket (RFC 6455): writing masked frames, reading whole messages."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Optional, Tuple

from .errors import ProtocolError

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_MAX_CONTROL_BYTES = 125
_NO_STATUS = 1005


@dataclass(frozen=True)
class Frame:
    """A control frame, or a whole message put together from its fragments."""

    opcode: int
    payload: bytes


def mask(payload: bytes, key: bytes) -> bytes:
    """XOR the payload with the key, repeated; the same call unmasks.

    >>> mask(mask(b"Hello", b"abcd"), b"abcd")
    b'Hello'
    """
    size = len(payload)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def encode_frame(opcode: int, payload: bytes, *, is_last: bool = True, key: Optional[bytes] = None) -> bytes:
    """Return one masked frame, as a client must send it.

    Args:
        opcode: the frame's kind.
        payload: unmasked.
        is_last: False where fragments follow.
        key: the mask; chosen at random where absent.
    """
    key = os.urandom(4) if key is None else key
    first = (0x80 if is_last else 0) | opcode
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + key + mask(payload, key)


def close_payload(code: int, reason: str = "") -> bytes:
    """Return what a close frame carries; the reason is cut at the limit of control frames."""
    text = reason.encode()[: _MAX_CONTROL_BYTES - 2]
    return code.to_bytes(2, "big") + text.decode(errors="ignore").encode()


def parse_close(payload: bytes) -> Tuple[int, str]:
    """Return code and reason of a close frame; 1005 where it has none."""
    if not payload:
        return _NO_STATUS, ""
    if len(payload) == 1:
        raise ProtocolError("a close frame has half a code")
    code = int.from_bytes(payload[:2], "big")
    if not (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) and not 3000 <= code <= 4999:
        raise ProtocolError(f"a close frame has the code {code}, which must not be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError as error:
        raise ProtocolError("the reason of a close frame is not UTF-8") from error


class MessageReader:
    """Reads frames and puts fragments together; control frames may come between these."""

    def __init__(self, stream: asyncio.StreamReader, max_message_bytes: int) -> None:
        self._stream = stream
        self._max_message_bytes = max_message_bytes
        self._opcode: Optional[int] = None
        self._pieces = bytearray()

    async def read(self) -> Frame:
        """Return the next control frame or whole message.

        Raises:
            ProtocolError: the other end breaks the rules of RFC 6455.
            asyncio.IncompleteReadError: the connection ended.
        """
        while True:
            first, second = await self._stream.readexactly(2)
            opcode = first & 0x0F
            is_last = bool(first & 0x80)
            if first & 0x70:
                raise ProtocolError("a frame uses an extension that was not agreed on")
            if second & 0x80:
                raise ProtocolError("a server must not mask its frames")
            payload = await self._read_payload(opcode, second & 0x7F)
            if opcode & 0x8:
                if opcode not in (CLOSE, PING, PONG):
                    raise ProtocolError(f"a frame has the unknown opcode {opcode}")
                if not is_last or len(payload) > _MAX_CONTROL_BYTES:
                    raise ProtocolError("a control frame is fragmented or too long")
                return Frame(opcode, payload)
            message = self._add_fragment(opcode, payload, is_last)
            if message is not None:
                return message

    async def _read_payload(self, opcode: int, short: int) -> bytes:
        size = short
        if short == 126:
            size = int.from_bytes(await self._stream.readexactly(2), "big")
        elif short == 127:
            size = int.from_bytes(await self._stream.readexactly(8), "big")
        if opcode & 0x8 and size > _MAX_CONTROL_BYTES:
            raise ProtocolError("a control frame is fragmented or too long")
        if size + len(self._pieces) > self._max_message_bytes:
            raise ProtocolError(f"a message is longer than {self._max_message_bytes} bytes")
        return await self._stream.readexactly(size) if size else b""

    def _add_fragment(self, opcode: int, payload: bytes, is_last: bool) -> Optional[Frame]:
        started = self._opcode
        if opcode == CONTINUATION:
            if started is None:
                raise ProtocolError("a continuation frame continues nothing")
        elif opcode not in (TEXT, BINARY):
            raise ProtocolError(f"a frame has the unknown opcode {opcode}")
        elif started is not None:
            raise ProtocolError("a message begins within another one")
        elif is_last:
            return Frame(opcode, payload)
        else:
            self._opcode = opcode
        self._pieces += payload
        if not is_last:
            return None
        whole = Frame(started or opcode, bytes(self._pieces))
        self._opcode = None
        self._pieces = bytearray()
        return whole
