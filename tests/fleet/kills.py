"""Kills a device again and again, and looks whether it has forgotten anything.

    python tests/fleet/kills.py --trials 1000

In each trial a device is started on the state that the one before has left, it is sent
settings, a firmware or a web page, and is killed with SIGKILL at a random moment. What
was answered with 200 has to be there, and what belongs together has to be together.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from softaxe.api.views import info_body
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.serve.storage import Storage

BUILDERS = Path(__file__).parents[1] / "flash" / "builders.py"
NAMES = (
    "statsFrequency",
    "hostname",
    "temptarget",
    "stratumUser",
    "fallbackStratumUser",
    "version",
)
MARKER = "/marker.txt"
LONGEST_S = 0.03
"""From the answer that was waited for to the kill, at most."""


# The device that is killed


def serve_again_and_again(directory: Path) -> None:
    """For every line of the input, fork a device; that spares the imports."""
    storage = Storage(directory)
    storage.save_settings("601-0", _rows(0))
    storage.close()
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(_serve(directory))
        os.waitpid(child, 0)


def _rows(number: int) -> dict[str, str | int | float]:
    return {
        "statsFrequency": number,
        "hostname": f"h{number}",
        "temptarget": number % 90,
        "stratumuser": f"u{number}",
        "fbstratumuser": f"u{number}",
    }


async def _serve(directory: Path) -> None:
    # An unused pool address spares the time to open the built-in pool's ports.
    groups = (Group(pool="127.0.0.1:9"),)
    fleet = Fleet(FleetOptions(state=directory, groups=groups, port=0))
    await fleet.start()
    (member,) = fleet.members.values()
    info = json.loads(info_body(member.device))
    told = {name: info[name] for name in NAMES}
    www = (member.device.www or {}).get(MARKER, b"0")
    told |= {"www": www.decode(), "port": member.port, "pid": os.getpid()}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await fleet.run()


# Who kills it


@dataclass(slots=True)
class Outcome:
    """What many trials have shown."""

    trials: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    """Requests answered with 200, by what they were."""
    lost: list[str] = field(default_factory=list)
    """What was not there, in words."""


@dataclass(slots=True)
class _Known:
    """What must be there: the last that was answered, or what came after it."""

    answered: str
    sent: str

    def send(self, value: str) -> None:
        self.sent = value

    def answer(self) -> None:
        self.answered = self.sent

    def look(self, found: str) -> bool:
        """Take what was found for what is there; False when it must not be."""
        is_fine = found in {self.answered, self.sent}
        self.answered = self.sent = found
        return is_fine


def kill(directory: Path, trials: int, *, seed: int = 1) -> Outcome:
    """Let a device live and die so many times in a directory."""
    rng, outcome = random.Random(seed), Outcome()
    build = runpy.run_path(str(BUILDERS))
    firmware = {
        f"v9.9.{n}": build["app_image"](version=f"v9.9.{n}", segments=(4096, 400_000))
        for n in (1, 2)
    }
    pages = {
        str(n): build["spiffs_image"]({"/index.html.gz": b"x", MARKER: b"%d" % n})
        for n in (1, 2)
    }
    number, is_first = 0, True
    version, www = _Known("", ""), _Known("0", "0")
    with subprocess.Popen(
        [sys.executable, __file__, "--serve", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        for trial in range(trials):
            parent.stdin.write("another\n")
            parent.stdin.flush()
            told = json.loads(parent.stdout.readline())
            if is_first:
                version, is_first = _Known(told["version"], told["version"]), False
            found = told["statsFrequency"]
            expected = _rows(found)
            outcome.lost += [
                f"trial {trial}: {what}"
                for what, is_fine in {
                    f"number {found} after {number}": found in {number, number + 1},
                    f"torn: {told}": (
                        told["hostname"] == expected["hostname"]
                        and told["temptarget"] == expected["temptarget"]
                        and told["stratumUser"] == expected["stratumuser"]
                        and told["fallbackStratumUser"] == expected["fbstratumuser"]
                    ),
                    f"{told['version']}, not {version}": version.look(told["version"]),
                    f"page {told['www']}, not {www}": www.look(told["www"]),
                }.items()
                if not is_fine
            ]
            number = found
            # The moment is counted in answers first, so that it is after as many of
            # them on a slow machine, and then in time, so that it is amid one.
            # Some uploads are sure to be answered.
            kill_after = 3 if trial % 8 in {2, 3} else rng.choice((0, 1, 2, 3, 20))
            base = f"http://127.0.0.1:{told['port']}/api/system"
            with (
                _killing(told["pid"], after_s=rng.uniform(0.0, LONGEST_S)) as timer,
                suppress(httpx.TransportError),
                httpx.Client(trust_env=False) as client,
            ):
                for answers in itertools.count():
                    if answers == kill_after:
                        timer.start()
                    if answers == trial % 2 and trial % 4 > 1:
                        known, images, route = (
                            (version, firmware, "OTA")
                            if trial % 4 == 2
                            else (www, pages, "OTAWWW")
                        )
                        name = rng.choice(list(images))
                        known.send(name)
                        answer = client.post(f"{base}/{route}", content=images[name])
                        if answer.status_code == 200:
                            outcome.answered[route] += 1
                            known.answer()
                        continue
                    body = _body(number + 1)
                    if client.patch(base, json=body).status_code == 200:
                        outcome.answered["PATCH"] += 1
                        number += 1
            outcome.trials += 1
        parent.stdin.close()
    parts = [p for p in (directory / "images").iterdir() if p.suffix == ".part"]
    if len(parts) > 1:
        outcome.lost.append(f"{len(parts)} halves of images are left")
    return outcome


def _body(number: int) -> dict[str, Any]:
    return {
        "statsFrequency": number,
        "hostname": f"h{number}",
        "temptarget": number % 90,
        "stratumUser": f"u{number}",
        "fallbackStratumUser": f"u{number}",
    }


@contextmanager
def _killing(pid: int, *, after_s: float) -> Iterator[threading.Timer]:
    """A timer that kills a process; at the latest it starts when the block ends."""
    timer = threading.Timer(after_s, os.kill, (pid, signal.SIGKILL))
    try:
        yield timer
    finally:
        if timer.ident is None:
            timer.start()
        timer.join()


def main() -> int:
    """Kill, and tell what was lost; or be what is killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is not None:
        serve_again_and_again(asked.serve)
        return 0
    with tempfile.TemporaryDirectory(prefix="softaxe-kills-") as directory:
        outcome = kill(Path(directory), asked.trials, seed=asked.seed)
    answered = ", ".join(f"{n} {what}" for what, n in outcome.answered.items())
    lines = [*outcome.lost, f"seed {asked.seed}: {outcome.trials} kills, {answered}"]
    sys.stdout.write("\n".join(lines) + f"; lost or torn: {len(outcome.lost)}\n")
    return bool(outcome.lost)


if __name__ == "__main__":
    sys.exit(main())
