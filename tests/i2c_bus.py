"""Parts on an I2C bus as bytes in registers, and scripts that are run against them."""

from typing import TypeVar

from softaxe.metal import raw
from softaxe.metal.raw import FailureKind, LineError, Request, Script

T = TypeVar("T")


class Bus:
    """What each address holds in each register, and what was asked.

    Registers hold what was written to them, as in most parts, or zeros.
    """

    def __init__(self, held: dict[int, dict[int, str]]) -> None:
        self.held = {
            address: {register: bytes.fromhex(data) for register, data in part.items()}
            for address, part in held.items()
        }
        self.fixed: set[tuple[int, int]] = set()
        """Registers that take nothing."""
        self.written: list[str] = []
        """Address and bytes of each write."""
        self.requests = 0
        self.paused_s = 0.0
        self.deaf = 0
        """Requests that nobody acknowledges yet."""

    def answer(self, request: Request) -> bytes:
        self.requests += 1
        address, *rest = request.data
        if request.page != raw.Page.I2C or address not in self.held or self.deaf:
            self.deaf = max(0, self.deaf - 1)
            raise LineError(FailureKind.NAK, f"{request}: nobody")
        part = self.held[address]
        if request.command == raw.I2c.WRITE:
            self.written.append(request.data.hex(" "))
            if rest[1:] and (address, rest[0]) not in self.fixed:
                part[rest[0]] = bytes(rest[1:])
            return bytes([len(rest)])
        assert request.command == raw.I2c.WRITE_READ
        return part.get(rest[0], b"").ljust(rest[-1], b"\0")[: rest[-1]]

    def run(self, script: Script[T]) -> T:
        """Run a script to its end."""
        try:
            wish = next(script)
            while True:
                if isinstance(wish, Request):
                    try:
                        data = self.answer(wish)
                    except LineError as error:
                        wish = script.throw(error)
                    else:
                        assert len(data) == wish.answer_bytes
                        assert wish.expected in {None, data}
                        wish = script.send(data)
                else:
                    self.paused_s += wish
                    wish = script.send(b"")
        except StopIteration as end:
            value: T = end.value
            return value
