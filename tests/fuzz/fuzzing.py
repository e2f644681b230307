"""Finds inputs that a parser does not bear.

Each `fuzz_NAME.py` beside this file has `one_input(data)`, which raises when a defect
is found and never otherwise, `CORPUS`, inputs that lead it into the code, and, where
it is slow, `RUNS` for the short run in the suite.

    python tests/fuzz/fuzzing.py [NAME ...] [--seconds 60]

searches long: with atheris, which sees the branches that an input takes, or else by
changing the corpus at random.
"""

import argparse
import random
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent
USUAL_RUNS = 300
LONG_SECONDS = 60
MOST_CHANGES = 8
SLOWEST_S = 10
"""An input that takes longer is a defect."""
PIECES = (
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b'"',
    b"\\",
    b"\\ud800",
    b"\xff",
    b"\xc3",
    b"{",
    b"}",
    b"[",
    b"]" * 9,
    b"[" * 999,
    b",",
    b":",
    b".",
    b"-1",
    b"0",
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"inf",
    b"4294967296",
    b"18446744073709551616",
    b"9" * 400,
    b"9" * 5000,
    b"0x" + b"f" * 5000,
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'""',
    "é".encode(),
    "٣".encode(),
    b"\xff" * 300,
)
"""What parsers have stumbled over."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser under fire."""

    name: str
    one_input: Callable[[bytes], None]
    corpus: Sequence[bytes]
    runs: int = USUAL_RUNS


def target(name: str) -> Target:
    """Read `fuzz_NAME.py`."""
    found = runpy.run_path(str(FOLDER / f"fuzz_{name}.py"))
    runs = found.get("RUNS", USUAL_RUNS)
    return Target(name, found["one_input"], found["CORPUS"], runs)


def names() -> list[str]:
    """Return every target's name."""
    return sorted(path.stem[len("fuzz_") :] for path in FOLDER.glob("fuzz_*.py"))


def inputs(corpus: Sequence[bytes], rng: random.Random) -> Iterator[bytes]:
    """Yield the corpus, and then for ever what becomes of it when it is changed."""
    yield from corpus
    while True:
        data = bytearray(rng.choice(corpus))
        for _ in range(rng.randint(1, MOST_CHANGES)):
            rng.choice(_CHANGES)(data, corpus, rng)
        yield bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    return rng.randint(0, len(data))


def _flip(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    at, new = _place(data, rng), rng.randbytes(rng.randint(1, 4))
    data[at : at + len(new)] = new


def _insert(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = rng.choice(PIECES)


def _replace(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    data[at : at + rng.randint(1, 8)] = rng.choice(PIECES)


def _cut(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.randint(1, 32)]


def _repeat(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + rng.randint(1, 64)] * rng.randint(1, 3)


def _splice(data: bytearray, corpus: Sequence[bytes], rng: random.Random) -> None:
    other = rng.choice(corpus)
    at, start = _place(data, rng), rng.randint(0, len(other))
    data[at:] = other[start:]


_CHANGES = (_flip, _overwrite, _insert, _replace, _cut, _repeat, _splice)


def fire(chosen: Target, *, seed: int, runs: int) -> None:
    """Try so many inputs, the same ones for the same seed.

    Raises:
        AssertionError: One of them found a defect, which is its cause.
    """
    rng = random.Random(f"{seed} {chosen.name}")
    for number, data in enumerate(inputs(chosen.corpus, rng)):
        if number == runs:
            return
        _try(chosen, data)


def _try(chosen: Target, data: bytes) -> None:
    try:
        chosen.one_input(data)
    except Exception as error:
        raise AssertionError(f"{chosen.name} does not bear {data!r}") from error


def _fire_for(chosen: Target, seconds: float) -> None:
    """Try inputs until the time is over."""
    seed = time.time_ns()
    rng, ends_at = random.Random(seed), time.monotonic() + seconds
    count = 0
    for count, data in enumerate(inputs(chosen.corpus, rng)):  # noqa: B007
        began = time.monotonic()
        _try(chosen, data)
        took_s = time.monotonic() - began
        assert took_s < SLOWEST_S, f"{took_s:.0f} s for {data!r}"
        if time.monotonic() > ends_at:
            break
    sys.stdout.write(f"{chosen.name}: {count + 1} inputs, seed {seed}: nothing found\n")


def _fire_with_atheris(name: str, seconds: float) -> None:
    """Let atheris look for branches; it ends the process."""
    atheris = import_module("atheris")  # not everywhere to be had
    with atheris.instrument_imports(include=["softaxe"]):
        chosen = target(name)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(chosen.corpus):
            (Path(folder) / str(number)).write_bytes(data)
        limits = [f"-max_total_time={seconds:.0f}", f"-timeout={SLOWEST_S}"]
        longest = max(4096, *(len(data) + 1 for data in chosen.corpus))
        limits.append(f"-max_len={longest}")
        atheris.Setup([sys.argv[0], folder, *limits], chosen.one_input)
        atheris.Fuzz()


def main() -> int:
    """Fire at the targets named, or at all of them, one process each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="all when none")
    parser.add_argument("--seconds", type=float, default=LONG_SECONDS)
    asked = parser.parse_args()
    if len(asked.names) == 1:
        (name,) = asked.names
        if find_spec("atheris") is not None:
            _fire_with_atheris(name, asked.seconds)
        else:
            _fire_for(target(name), asked.seconds)
        return 0
    found = []
    for name in asked.names or names():
        sys.stdout.write(f"--- {name}\n")
        sys.stdout.flush()
        command = [sys.executable, __file__, name, "--seconds", str(asked.seconds)]
        if subprocess.run(command, check=False).returncode:
            found.append(name)
    if found:
        sys.stdout.write(f"defects: {', '.join(found)}\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
