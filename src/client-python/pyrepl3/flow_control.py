"""Owns the acknowledging of events: in the order in which they came, once their readers are done with them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Callable, Deque, Optional

_ACK_SECONDS = 0.02


class _Receipt:
    __slots__ = ("is_consumed", "seq", "size")

    def __init__(self, seq: int, size: int) -> None:
        self.seq = seq
        self.size = size
        self.is_consumed = False


class FlowControl:
    """One for each socket.

    Args:
        window_bytes: as told to the service.
        send_ack: sends `ack` with a seq.
    """

    def __init__(self, window_bytes: int, send_ack: Callable[[int], None]) -> None:
        self._threshold_bytes = window_bytes // 4
        self._send_ack = send_ack
        self._receipts: Deque[_Receipt] = deque()
        self._seq: Optional[int] = None
        self._unacked_bytes = 0
        self._timer: Optional[asyncio.TimerHandle] = None

    def arrived(self, seq: int, size: int) -> Callable[[], None]:
        """Note an event; the returned function says that it is consumed."""
        receipt = _Receipt(seq, size)
        self._receipts.append(receipt)

        def consume() -> None:
            receipt.is_consumed = True
            self._advance()

        return consume

    def close(self) -> None:
        """Acknowledge nothing any more."""
        self._receipts.clear()
        self._seq = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _advance(self) -> None:
        while self._receipts and self._receipts[0].is_consumed:
            receipt = self._receipts.popleft()
            self._seq = receipt.seq
            self._unacked_bytes += receipt.size
        if self._seq is None:
            return
        if self._unacked_bytes >= self._threshold_bytes:
            self._acknowledge()
        elif self._timer is None:
            # An event larger than what the window leaves free comes only when nothing is unacknowledged.
            self._timer = asyncio.get_running_loop().call_later(_ACK_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seq, self._seq, self._unacked_bytes = self._seq, None, 0
        if seq is not None:
            self._send_ack(seq)
