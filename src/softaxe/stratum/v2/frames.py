"""Frames of Stratum v2: six bytes of header, then a message; each encrypted by itself.

A frame is encrypted as the firmware does, in one block however long it is; pools cut
what is longer than 65519 bytes, which neither end of ours says or takes.
Source: Stratum v2, Protocol Overview (framing) and Protocol Security 4.6.
"""

from collections.abc import Iterator

import msgspec

from softaxe.errors import StratumError
from softaxe.stratum.v2.noise import MAC_BYTES, Ciphers

HEADER_BYTES = 6
SEALED_HEADER_BYTES = HEADER_BYTES + MAC_BYTES
MOST_PAYLOAD_BYTES = 65519
"""Of one block of Noise."""
CHANNEL_BIT = 0x8000
"""Of the extension: the message is for a channel."""


class FrameError(StratumError):
    """A frame is longer than what is taken."""


class Frame(msgspec.Struct, frozen=True):
    """One message as it is carried."""

    kind: int
    """Which message, from 0 to 255."""
    payload: bytes
    extension: int = 0
    """With `CHANNEL_BIT` or without."""

    def __bytes__(self) -> bytes:
        return self.header + self.payload

    @property
    def header(self) -> bytes:
        """The first six bytes, not encrypted."""
        size = len(self.payload)
        head = self.extension.to_bytes(2, "little") + bytes((self.kind,))
        return head + size.to_bytes(3, "little")


class FrameLink:
    """Frames over a pair of ciphers.

    Args:
        ciphers: Of this end.
        most_payload_bytes: Of a frame that is received.
    """

    def __init__(self, ciphers: Ciphers, *, most_payload_bytes: int) -> None:
        self._ciphers = ciphers
        self._most_payload_bytes = most_payload_bytes
        self._rest = bytearray()
        self._header: bytes | None = None
        """Of the frame whose payload is awaited."""

    def seal(self, frame: Frame) -> bytes:
        """Encrypt a frame; frames are to be sent in the order of these calls."""
        encrypt = self._ciphers.outgoing.encrypt
        sealed = encrypt(frame.header)
        return sealed + encrypt(frame.payload) if frame.payload else sealed

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes.

        Raises:
            NoiseError: They were not encrypted by the peer; the link is of no more use.
            FrameError: One is too long; likewise.
        """
        self._rest += data
        while True:
            if self._header is None:
                sealed = self._take(SEALED_HEADER_BYTES)
                if sealed is None:
                    return
                self._header = self._ciphers.incoming.decrypt(sealed)
            header = self._header
            size = int.from_bytes(header[3:], "little")
            if size > self._most_payload_bytes:
                most = self._most_payload_bytes
                raise FrameError(f"frame of {size} bytes, at most {most}")
            payload = b""
            if size:
                sealed = self._take(size + MAC_BYTES)
                if sealed is None:
                    return
                payload = self._ciphers.incoming.decrypt(sealed)
            self._header = None
            yield Frame(header[2], payload, int.from_bytes(header[:2], "little"))

    def _take(self, size: int) -> bytes | None:
        """Return so many bytes, or None while there are less."""
        if len(self._rest) < size:
            return None
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken
