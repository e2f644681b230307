"""One end of a pseudo-terminal: where a host program finds a serial port."""

import errno
import os
import re
import select

READ_BYTES = 4096
BAUD = 115_200
"""Before anybody says another."""


class Terminal:
    """A serial port that a host program may open by its path, and its other end.

    Raises:
        OSError: The system has no more, or none at all.
    """

    def __init__(self) -> None:
        import termios  # noqa: PLC0415 - there is none on Windows
        import tty  # noqa: PLC0415

        self._termios = termios
        self._bauds = {
            getattr(termios, name): int(name[1:])
            for name in dir(termios)
            if re.fullmatch(r"B\d+", name)
        }
        self.fd, slave = os.openpty()
        self.path = os.ttyname(slave)
        """What the host program opens."""
        tty.setraw(slave)
        settings = termios.tcgetattr(slave)
        settings[4] = settings[5] = termios.B115200
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        os.close(slave)
        os.set_blocking(self.fd, False)

    @property
    def is_open(self) -> bool:
        """True while somebody has it open."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    @property
    def baud(self) -> int:
        """What the other side has set."""
        speed: int = self._termios.tcgetattr(self.fd)[5]
        return self._bauds.get(speed, speed) or BAUD

    def read(self) -> bytes | None:
        """Return what is there; None when the other side has closed."""
        try:
            return os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return None

    def write(self, data: bytes) -> None:
        """Send; a serial line loses what nobody reads."""
        try:
            if data:
                os.write(self.fd, data)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.EIO:
                raise

    def close(self) -> None:
        """Take it away from whoever has it open."""
        os.close(self.fd)
