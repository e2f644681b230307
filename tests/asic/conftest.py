"""Chips of the reference, and a driver joined to a chain by bytes."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from softaxe.asic.chip import Chain
from softaxe.asic.driver import Driver, DriverEvent
from softaxe.bitcoin.header import Work
from softaxe.catalog import Chip, board
from softaxe.units import Level

MakeChip = Callable[[str], Chip]


@pytest.fixture
def make_chip(boards_reference: dict[str, Any]) -> MakeChip:
    """Give any chip of the reference the BM1370's metal."""

    def make(name: str) -> Chip:
        row = boards_reference["asics"][name]
        return replace(
            board("601").chip,
            name=name,
            chip_id=int(row["chip_id"], 16),
            core_count=row["core_count"],
            small_core_count=row["small_core_count"],
            hash_domains=row["hash_domains"],
            pll_fb_min=row["pll_fb_min"],
            pll_fb_max=row["pll_fb_max"],
            job_id_step=row["job_id_step"],
            max_baud=row["max_baud"],
            hash_counting_number=int(row["hash_counting_number"] or "0", 16),
        )

    return make


class WiredChain:
    """A driver and a chain, and everything that went over the wire between them."""

    def __init__(self, chip: Chip, *, asic_count: int, seed: int = 1) -> None:
        self.lines: list[str] = []
        self.now = 0.0
        self._asic_count = asic_count
        self.driver = Driver(chip, asic_count=asic_count, log=self._log)
        faultless = replace(chip.silicon, error_floor=0.0)
        self.chain = Chain(
            chip, silicons=[faultless] * asic_count, rng=random.Random(seed)
        )
        self.to_chip: list[tuple[float, bytes]] = []
        self.events: list[tuple[float, DriverEvent]] = []
        self.garble: Callable[[bytes], bytes] = lambda data: data
        """Applied to what the chips say."""
        self._set_power(1.144)

    def _log(self, level: Level, tag: str, text: str, /, **values: object) -> None:
        self.lines.append(f"{level} {tag}: {text.format(**values)}")

    def _set_power(self, volts: float) -> None:
        self.chain.set_operating_point(
            core_voltage_v=volts, temperatures_c=[60] * self._asic_count, now=self.now
        )

    def switch_off(self) -> None:
        self._set_power(0.0)

    def switch_on(self, volts: float = 1.144) -> None:
        self._set_power(volts)

    def advance(self, until: float, *, slice_s: float | None = None) -> None:
        """Step both ends, exactly when they ask for it or every `slice_s`."""
        while True:
            due = min(self.driver.next_wake, self.chain.next_wake)
            if slice_s is not None:
                due = min(due, self.now + slice_s)
            if due > until:
                break
            self.now = max(self.now, due)
            self.chain.step(self.now)
            self.driver.step(self.now)
            self.exchange()
        self.now = until
        self.exchange()

    def exchange(self) -> None:
        """Carry the reset line and all bytes."""
        while True:
            self.chain.set_reset(self.driver.is_reset_low, self.now)
            if data := self.driver.data_to_chip():
                self.to_chip.append((self.now, data))
                self.chain.receive(data, self.now)
            self.events += [(self.now, event) for event in self.driver.events()]
            reply = self.chain.data_to_host()
            if not reply:
                return
            self.driver.receive(self.garble(reply), self.now)

    def start(self, frequency_mhz: float = 525.0, *, seconds: float = 20.0) -> None:
        """Start the driver and let `seconds` pass."""
        self.driver.start(frequency_mhz, self.now)
        self.exchange()
        self.advance(self.now + seconds)

    def mine(
        self,
        jobs: int,
        *,
        slice_s: float | None = None,
        first: int = 0,
        version_mask: int = 0,
    ) -> dict[int, Work]:
        """Half a second of each of `jobs` jobs; returns the last of each id."""
        sent = {}
        for number in range(first, first + jobs):
            work = Work(
                version=0x20000000,
                prevhash=bytes(32),
                merkle_root=number.to_bytes(32, "little"),
                ntime=1_700_000_000,
                nbits=0x1705AE3A,
                version_mask=version_mask,
            )
            sent[self.driver.send_work(work)] = work
            self.exchange()
            self.advance(self.now + 0.5, slice_s=slice_s)
        return sent

    def frames(self) -> list[bytes]:
        """Take apart what the host sent."""
        data, found = b"".join(data for _, data in self.to_chip), []
        while data:
            size = data[3] + 2
            found.append(data[:size])
            data = data[size:]
        return found

    def happened(self, kind: type[DriverEvent]) -> list[DriverEvent]:
        """Tell the events of one kind."""
        return [event for _, event in self.events if isinstance(event, kind)]


@pytest.fixture
def make_wired_chain() -> Callable[..., WiredChain]:
    """Join a driver and a powered chain."""

    def make(
        chip: Chip | None = None, *, asic_count: int = 1, seed: int = 1
    ) -> WiredChain:
        chip = chip or board("601").chip
        return WiredChain(chip, asic_count=asic_count, seed=seed)

    return make
