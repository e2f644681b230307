"""Nonces per second and cycles per hash of every kernel variant, in turns.

Neighbours on the machine make single runs swing, so variants take turns and the 90th
percentile of the runs counts. Cycles are of a clock that additions which wait for each
other tell, measured beside every run: the 90th percentile of both, since a run and the
clock beside it are not disturbed alike.
"""

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from statistics import quantiles

from softaxe.bitcoin import kernel
from softaxe.bitcoin.sha256 import INITIAL_STATE, compress

ROUNDS = 21
RUN_S = 0.03
HEADER = bytes(range(80))
ADDITIONS_PER_ROUND = 64
CLOCK_ROUNDS = 1 << 14
OPENSSL_HASHES = 1 << 13
OPENSSL_DATA = bytes(OPENSSL_HASHES * 2 * 64)
"""Two blocks a hash."""
HEADER_END = b"\x80" + bytes(45) + (640).to_bytes(2)
HASH_END = b"\x80" + bytes(29) + (256).to_bytes(2)
BOUNDS = (
    ("sha256rnds2 alone", 61.0),
    ("all SHA instructions", 82.0),
    ("additions, shuffles: at best", 99.0),
    ("additions, shuffles: at worst", 109.0),
)
"""Cycles per hash of a Zen 4 core by its instruction rates: `sha256rnds2` starts once a
cycle; 61 of them, the other SHA instructions, and what stands between."""
CPU_INFO = Path("/proc/cpuinfo")
ZEN_4_FAMILY = 0x19
ZEN_4_MODELS = (range(0x10, 0x20), range(0x60, 0xB0))
"""Those of Zen 4 within its family. Source: Linux, arch/x86/kernel/cpu/amd.c."""


def kernel_figures() -> None:
    """Measure and print."""
    runners = dict(_runners())
    counts = {name: _calibrate(run) for name, run in runners.items()}
    rates: dict[str, list[float]] = {name: [] for name in runners}
    clocks = []
    for _ in range(ROUNDS):
        for name, run in runners.items():
            clocks.append(_clock_hz())
            rates[name].append(counts[name] / _time(run, counts[name]))
    clock_hz = _p90(clocks)
    best = kernel.chosen_variant()
    cpu = _cpu()
    print(f"\nCPU: {cpu.get('model name') or platform.machine()}")
    title = "search on one core"
    if clock_hz:
        title += f", {clock_hz / 1e9:.2f} GHz"
    print(f"{title:44} {'MH/s':>12} {'cycles a hash':>14}")
    for name in runners:
        label = f"{name}, chosen here" if name == best else name
        rate = _p90(rates[name])
        cycles = f"{clock_hz / rate:,.1f}" if clock_hz else ""
        print(f"{label:44} {rate / 1e6:>12.3f} {cycles:>14}")
    is_zen_4 = _is_zen_4(cpu)
    for name, bound in BOUNDS:
        print(f"{'Zen 4 bound: ' + name:44} {'':12} {bound:>14}")
        for variant in sorted({"sha-ni", best} & rates.keys() if is_zen_4 else ()):
            ratio = clock_hz / _p90(rates[variant]) / bound
            print(f"{'  of it, ' + variant:44} {'':12} {ratio:>14.2f}")
    if not is_zen_4:
        print("This CPU is no Zen 4; its bounds are others.")


def _cpu() -> Mapping[str, str]:
    """What Linux tells of the first core; nothing elsewhere."""
    if not CPU_INFO.exists():
        return {}
    first = CPU_INFO.read_text(encoding="utf-8").partition("\n\n")[0]
    rows = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in rows}


def _is_zen_4(cpu: Mapping[str, str]) -> bool:
    is_family = cpu.get("cpu family") == str(ZEN_4_FAMILY)
    model = int(cpu.get("model", "0")) if is_family else 0
    return any(model in models for models in ZEN_4_MODELS)


def _p90(values: list[float]) -> float:
    return quantiles(values, n=10)[8]


def _runners() -> Iterator[tuple[str, Callable[[int], object]]]:
    for name, search in kernel.VARIANTS.items():
        yield name, lambda count, search=search: search(HEADER, 0, count, 0)  # type: ignore[misc]
    yield "python without OpenSSL", _pure_python
    yield "OpenSSL's SHA-256 on long data", _openssl


def _pure_python(hashes: int) -> list[int]:
    """The same search from a midstate, with no hash in C."""
    state, tail = kernel.midstate(HEADER[:64]), HEADER[64:76]
    found = []
    for nonce in range(hashes):
        inner = compress(state, tail + nonce.to_bytes(4) + HEADER_END)
        digest = compress(INITIAL_STATE, inner + HASH_END)
        if int.from_bytes(digest, "little") <= 0:
            found.append(nonce)
    return found


def _openssl(hashes: int) -> None:
    """As many blocks as so many header hashes take, without the work between them."""
    for _ in range(hashes // OPENSSL_HASHES):
        sha256(OPENSSL_DATA)
    sha256(memoryview(OPENSSL_DATA)[: hashes % OPENSSL_HASHES * 128])


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
