"""The fleet's time for programs that are not Python; `_follow.c` reads it in theirs.

The time is in a page of memory that this process writes and all programs share. They
are told to be, at the next look, where the fleet has been at this one, and not to go
further. So their time is a look behind the fleet's and never ahead of it, goes steadily
however the fleet does, and stands when nobody tells any more.
"""

import mmap
import os
import struct
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from math import inf
from pathlib import Path

LOOK_S = 0.02
"""Real seconds between two looks at the fleet's clock."""
PAGE = struct.Struct("=3qd4q")
"""Of `struct page`: what is told."""
WORDS = struct.Struct("=8q")
AFTER = struct.Struct("=qqq")
"""The rest of it: check, whether a program has entered, and until when one waits."""
NEVER_NS = 2**62
BACK_S = 0.1
"""A fleet that is back by so much has had a snapshot restored."""


def library() -> Path | None:
    """Return what is put before a program's libc; None where it was not built."""
    found = find_spec("softaxe.warp._follow") if sys.platform == "linux" else None
    return None if found is None or found.origin is None else Path(found.origin)


def page_in(folder: Path, now_s: float, *, is_driven: bool = False) -> "Page | None":
    """Make what tells a fleet's time; None where the library was not built.

    Args:
        folder: For its files.
        now_s: The fleet's time at present, in its seconds.
        is_driven: See `Page`.
    """
    code = library()
    if code is None:
        return None
    return Page(
        folder,
        code,
        now_s=now_s,
        epoch_s=time.time() - now_s,
        real_s=time.monotonic(),
        is_driven=is_driven,
    )


class Page:
    """A fleet's time, as programs that are not Python read it.

    Args:
        folder: For its files, whose path has no space.
        library: What reads it there.
        now_s: The fleet's time at present, in its seconds.
        epoch_s: Unix time when the fleet's was 0.
        real_s: What the monotonic clock tells at present.
        is_driven: Whether time goes only while all programs wait.
    """

    def __init__(
        self,
        folder: Path,
        library: Path,
        *,
        now_s: float,
        epoch_s: float,
        real_s: float,
        is_driven: bool = False,
    ) -> None:
        self._path = folder / "clock"
        self._library = folder / "time.so"  # the loader takes a space for a list's
        self._library.symlink_to(library)
        self._path.write_bytes(bytes(mmap.PAGESIZE))
        with self._path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._is_driven = is_driven
        self.epoch_s, self.monotonic_s = epoch_s, real_s - now_s
        """What the clocks of programs tell when the fleet's time is 0."""
        self._shift_s, self._before_s = 0.0, -inf
        self._real_s, self._now_s, self._until_s = real_s, now_s, now_s
        self._speed = 0.0
        AFTER.pack_into(self._memory, PAGE.size, 0, 0, NEVER_NS)
        self._write()

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return what puts a program, and its children, into this time."""
        others = environ.get("LD_PRELOAD", "")
        return {
            "SOFTAXE_WARP_CLOCK": str(self._path),
            "LD_PRELOAD": f"{self._library} {others}".strip(),
        }

    def tell(self, now_s: float, real_s: float) -> None:
        """Tell where the fleet is.

        Args:
            now_s: The fleet's time, in its seconds.
            real_s: What the monotonic clock told before that was asked.
        """
        if now_s < self._before_s - BACK_S:
            self._shift_s += self._before_s - now_s
        self._before_s = now_s
        passed_s = real_s - self._real_s
        self._now_s = min(self._now_s + passed_s * self._speed, self._until_s)
        self._until_s = max(self._until_s, now_s + self._shift_s)
        if self._is_driven:
            self._now_s = self._until_s
        self._speed = (self._until_s - self._now_s) / LOOK_S
        self._real_s = real_s
        self._write()

    @property
    def is_entered(self) -> bool:
        """Whether a program reads it."""
        return bool(AFTER.unpack_from(self._memory, PAGE.size)[1])

    def take_wish(self) -> float | None:
        """Return until when somebody waits, in the fleet's time, and forget it."""
        check, is_entered, wish_ns = AFTER.unpack_from(self._memory, PAGE.size)
        AFTER.pack_into(self._memory, PAGE.size, check, is_entered, NEVER_NS)
        return None if wish_ns >= NEVER_NS else wish_ns / 1e9 - self._shift_s

    def close(self) -> None:
        """Leave it to the programs that have it still; for them time stands."""
        self._memory.close()

    def _write(self) -> None:
        told = PAGE.pack(
            _ns(self._real_s),
            _ns(self._now_s),
            _ns(self._until_s),
            self._speed,
            _ns(self.epoch_s),
            _ns(self.monotonic_s),
            int(self._is_driven),
            os.getpid(),
        )
        check = 0
        for word in WORDS.unpack(told):
            check ^= word
        self._memory[: PAGE.size + 8] = told + struct.pack("=q", check)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def is_idle(pid: int) -> bool:
    """Tell whether a process of this machine, and all that it has started, wait."""
    pids = [pid]
    for one in pids:
        for task in Path(f"/proc/{one}/task").glob("*"):
            try:
                stat = (task / "stat").read_bytes()
                pids += map(int, (task / "children").read_bytes().split())
            except OSError:  # it has ended meanwhile
                continue
            if stat.rpartition(b") ")[2][:1] in b"RD":
                return False
    return True
