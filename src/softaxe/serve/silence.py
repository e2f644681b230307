"""Sockets that hear nothing, as if their host were not there; no privilege is needed.

A real device that has lost its network refuses nothing: nobody answers. On Linux a
socket may have a filter that says which packets it is given, and here it is given none:
who connects sends its SYN again and again until its own time is over, and what is sent
on an open connection is never acknowledged. Elsewhere there is no such filter.
"""

import ctypes
import struct
import sys
from typing import Protocol

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
"""Source: Linux, asm-generic/socket.h; the socket module has no names for them."""
SOL_SOCKET = 1
_TAKE_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
"""The program of one instruction that returns how much of a packet is kept: nothing.
Source: Linux, uapi/linux/filter.h."""


class Socket(Protocol):
    """What is needed of a socket; the event loops have their own kinds."""

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """Set an option."""


def deafen(sock: Socket) -> bool:
    """Let a socket hear nothing; False where the system cannot."""
    if sys.platform != "linux":
        return False
    program = ctypes.create_string_buffer(_TAKE_NOTHING, len(_TAKE_NOTHING))
    order = struct.pack("HP", 1, ctypes.addressof(program))  # read before it returns
    try:
        sock.setsockopt(SOL_SOCKET, SO_ATTACH_FILTER, order)
    except OSError:  # a kernel, or what stands for one, without such filters
        return False
    return True


def undeafen(sock: Socket) -> None:
    """Let a socket hear again that was deafened."""
    sock.setsockopt(SOL_SOCKET, SO_DETACH_FILTER, 0)
