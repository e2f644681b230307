"""Nonces per second and cycles per hash of every kernel variant, in turns.

Neighbours on the machine make single runs swing, so variants take turns and the 90th
percentile of the runs counts. Cycles come from the time of additions that wait for each
other, measured beside every run.
"""

import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from statistics import quantiles

from softaxe.bitcoin import kernel

ROUNDS = 21
RUN_S = 0.03
HEADER = bytes(range(80))
ADDITIONS_PER_ROUND = 64
CLOCK_ROUNDS = 1 << 14
OPENSSL_BYTES = 1 << 20
BLOCK_BYTES = 64
BLOCKS_PER_HASH = 2
BOUNDS = (
    ("sha256rnds2 alone", 61.0),
    ("all SHA instructions", 82.0),
    ("with additions and shuffles", 109.0),
)
"""Cycles per hash of a Zen 4 core by its instruction rates: `sha256rnds2` starts once a
cycle; 61 of them, the other SHA instructions, and what stands between."""


def kernel_figures() -> None:
    """Measure and print."""
    runners = dict(_runners())
    counts = {name: _calibrate(run) for name, run in runners.items()}
    rates: dict[str, list[float]] = {name: [] for name in runners}
    cycles: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, run in runners.items():
            hertz = _clock_hz()
            took = _time(run, counts[name])
            rates[name].append(counts[name] / took / 1e6)
            cycles[name].append(hertz * took / counts[name])
    best = kernel.chosen_variant()
    print(f"\n{'search on one core':44} {'MH/s':>12} {'cycles a hash':>14}")
    for name in runners:
        label = f"{name}, chosen here" if name == best else name
        mhs, spent = quantiles(rates[name], n=10)[8], quantiles(cycles[name], n=10)[0]
        print(f"{label:44} {mhs:>12.3f} {spent:>14,.1f}")
    if "sha-ni" in cycles:
        spent = quantiles(cycles["sha-ni"], n=10)[0]
        for name, bound in BOUNDS:
            ratio = f"{spent / bound:.2f}"
            print(f"{'SHA-NI, bound: ' + name:44} {'':12} {bound:>14}  {ratio}")


def _runners() -> Iterator[tuple[str, Callable[[int], object]]]:
    for name, search in kernel.VARIANTS.items():
        yield name, lambda count, search=search: search(HEADER, 0, count, 0)  # type: ignore[misc]
    state, tail = kernel.midstate(HEADER[:64]), HEADER[64:76]
    pure = kernel.search_midstate_python
    yield "python without hashlib", lambda count: pure(state, tail, 0, count, 0)
    yield "OpenSSL's SHA-256 on long data", _openssl


def _openssl(hashes: int) -> None:
    """As many blocks as so many header hashes take, without the work between them."""
    size = hashes * BLOCKS_PER_HASH * BLOCK_BYTES
    sha256(memoryview(bytes(size)))


def _calibrate(run: Callable[[int], object]) -> int:
    """Find a count that takes about RUN_S."""
    count = 16
    while (took := _time(run, count)) < RUN_S / 4:
        count *= 2
    return max(1, int(count * RUN_S / took))


def _time(run: Callable[[int], object], count: int) -> float:
    began = time.perf_counter()
    run(count)
    return time.perf_counter() - began


def _clock_hz() -> float:
    """The core's clock; 0 without a C compiler."""
    if len(kernel.VARIANTS) == 1:
        return 0.0
    from softaxe.bitcoin import _kernel  # noqa: PLC0415 - only there when it was built

    began = time.perf_counter()
    _kernel.add(CLOCK_ROUNDS)
    return CLOCK_ROUNDS * ADDITIONS_PER_ROUND / (time.perf_counter() - began)
