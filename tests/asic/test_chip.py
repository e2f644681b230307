import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from tests.each import each

from softaxe.asic import frames
from softaxe.asic.chip import (
    HASHES_PER_COUNT,
    REAL,
    SCALED,
    SOUND,
    Chain,
    Defects,
    Search,
    WorkMode,
)
from softaxe.asic.frames import NonceReply, Register, RegisterReply, ReplyReader
from softaxe.asic.hashing import RolledVersions, Span
from softaxe.bitcoin.header import Work, difficulty_of, sha256d
from softaxe.catalog import Chip, board, catalog_data, read_chips
from softaxe.units import NEVER

CHIP = board("601").chip
WIRE = frames.WIRES[CHIP.name]
PLL_525 = 0x40A80230
"""The reference's register value for 525 MHz, as the next for 400 MHz."""
PLL_400 = 0x40A00240
LOCKED = 1 << 31
GOOD_V = 1.144
WEAK_V = 1.01
TICKET = 256 * 0xFFFF / 0x10000
"""What a chip lets through, which looks at 40 bits and not at a difficulty of 256."""
CHIPS = read_chips(catalog_data())


def work(number: int = 0) -> Work:
    root = number.to_bytes(32, "little")
    return Work(0x20000000, bytes(32), root, 1_700_000_000, 0x1705AE3A)


class Bench:
    """A powered chain at 525 MHz, and a record of what it says."""

    def __init__(
        self,
        *,
        seed: int = 1,
        volts: float = GOOD_V,
        chip: Chip = CHIP,
        asic_count: int = 1,
        version_mask: int = 0x1FFFE000,
        ticket: int = 256,
    ) -> None:
        self.chip = chip
        faultless = replace(chip.silicon, error_floor=0.0)
        self.chain = Chain(
            chip, silicons=[faultless] * asic_count, rng=random.Random(seed)
        )
        self.reader = ReplyReader(frames.WIRES[chip.name].reply_bytes)
        self.replies: list[tuple[float, NonceReply | RegisterReply]] = []
        self.jobs: dict[int, Work] = {}
        self.chain.set_operating_point(
            core_voltage_v=volts, temperatures_c=[60] * asic_count, now=0
        )
        self.chain.set_reset(False, 0.0)
        mask = frames.version_mask_value(version_mask)
        for frame in (
            frames.write_all(Register.PLL0, PLL_525),
            frames.write_all(Register.TICKET_MASK, frames.ticket_mask(ticket)),
            frames.write_all(Register.VERSION_MASK, mask),
        ):
            self.chain.receive(frame, 0.0)

    def send_job(self, job_id: int, now: float) -> Work:
        self.jobs[job_id] = work(len(self.jobs))
        self.chain.receive(frames.job(job_id, self.jobs[job_id]), now)
        self.take(now)
        return self.jobs[job_id]

    def advance(self, until: float) -> None:
        while (due := self.chain.next_wake) <= until:
            self.chain.step(due)
            self.take(due)

    def take(self, now: float) -> None:
        for body in self.reader.feed(self.chain.data_to_host()):
            self.replies.append((now, frames.read_reply(body)))

    def mine(self, jobs: int, *, interval_s: float = 0.5) -> None:
        """Send `jobs` jobs, one after another."""
        for number in range(jobs):
            self.advance(number * interval_s)
            self.send_job((24 * number + 24) % 128, number * interval_s)
        self.advance(jobs * interval_s)

    def read(self, register: int, now: float) -> int:
        """Read a register of the first chip."""
        self.chain.receive(frames.read_all(register), now)
        self.take(now)
        reply = self.replies.pop()[1]
        assert isinstance(reply, RegisterReply)
        assert reply.register == register
        return reply.value

    def expected_nonces(self, seconds: float) -> float:
        return seconds * self.chain.hashrate_hs / (256 * 2**32)

    @property
    def nonces(self) -> list[NonceReply]:
        return [reply for _, reply in self.replies if isinstance(reply, NonceReply)]


def difficulty(job: Work, reply: NonceReply) -> float:
    version = job.version | reply.version_field << 13
    nonce = int.from_bytes(reply.nonce.to_bytes(4), "little")
    return difficulty_of(sha256d(job.header(nonce=nonce, version=version)))


def search(bench: Bench, nonces: int, now: float = 1.0) -> Search:
    """Take a search, do it and give it back."""
    taken = bench.chain.take_search(nonces)
    assert taken is not None
    found = taken.run()
    bench.chain.finish_search(taken, found, now)
    bench.take(now)
    return taken


def test_every_nonce_was_searched_and_meets_the_ticket() -> None:
    bench = Bench()
    job = bench.send_job(24, 0.0)
    bench.advance(120.0)

    scaled = [difficulty(job, reply) * SCALED.scale for reply in bench.nonces]
    assert len(scaled) > 60
    rubbish = [value for value in scaled if value < TICKET]
    assert len(rubbish) <= 1  # a 16 000th of them
    assert all(reply.id_byte & 0xF0 == 24 << 1 for reply in bench.nonces)


@pytest.mark.unwatched
def test_difficulties_are_spread_as_hashing_spreads_them() -> None:
    bench = Bench()
    job = bench.send_job(24, 0.0)
    bench.advance(2000.0)

    values = [difficulty(job, reply) * SCALED.scale for reply in bench.nonces]
    above_1024 = sum(value > 1024 for value in values) / len(values)
    assert above_1024 == pytest.approx(1 / 4, abs=4 * (3 / 16 / len(values)) ** 0.5)


@pytest.mark.unwatched
@pytest.mark.parametrize("interval_s", [0.05, 0.5, 2.0])
def test_the_nonce_rate_is_that_of_the_hash_rate(interval_s: float) -> None:
    bench = Bench()
    seconds = 1000 * interval_s + 300
    bench.mine(round(seconds / interval_s), interval_s=interval_s)

    expected = bench.expected_nonces(seconds)
    assert len(bench.nonces) == pytest.approx(expected, abs=4 * expected**0.5)


def test_no_nonce_of_a_job_is_reported_twice() -> None:
    bench = Bench()
    bench.send_job(24, 0.0)
    bench.advance(300.0)

    seen = [(reply.nonce, reply.version_field) for reply in bench.nonces]
    assert len(set(seen)) == len(seen)


def test_nonces_come_at_their_own_time_not_at_the_jobs() -> None:
    bench = Bench()
    bench.mine(200)

    fractions = [now % 0.5 for now, _ in bench.replies]
    assert any(0.1 < fraction < 0.4 for fraction in fractions)


def test_a_new_job_ends_the_old_one_at_once() -> None:
    bench = Bench()
    for number in range(400):
        bench.send_job(24, number * 0.5)
        bench.advance(number * 0.5 + 0.25)
        bench.replies.clear()
        bench.send_job(48, number * 0.5 + 0.25)
        bench.advance(number * 0.5 + 0.5)
        assert all(reply.id_byte & 0xF0 == 48 << 1 for reply in bench.nonces)


@each("version_mask", [0, 0x00C00000, 0x1FFFE000])
def test_versions_are_rolled_inside_the_mask_only(version_mask: int) -> None:
    bench = Bench(version_mask=version_mask)
    bench.mine(200)

    fields = {reply.version_field for reply in bench.nonces}
    assert all((field << 13) & ~version_mask == 0 for field in fields)
    assert len(fields) >= min(4, version_mask + 1)


def test_a_slower_clock_slows_the_nonces_at_once() -> None:
    bench = Bench()
    bench.send_job(24, 0.0)
    bench.advance(10.0)
    bench.chain.receive(frames.write_all(Register.PLL0, PLL_400), 10.0)
    bench.replies.clear()
    bench.advance(2010.0)

    assert bench.chain.hashrate_hs == pytest.approx(400e6 * 2040, rel=0.001)
    expected = bench.expected_nonces(2000.0)
    assert len(bench.nonces) == pytest.approx(expected, abs=4 * expected**0.5)


def test_counters_count_hashes_and_scatter() -> None:
    bench = Bench()
    bench.mine(200)

    total, domain = bench.read(Register.TOTAL, 100.0), bench.read(0x88, 100.0)
    expected = 100 * bench.chain.hashrate_hs / HASHES_PER_COUNT
    assert total == pytest.approx(expected, abs=4 * expected**0.5)
    assert domain == pytest.approx(expected / 4, rel=0.1)


@pytest.mark.unwatched
def test_domains_differ_as_on_a_real_chip_and_add_up() -> None:
    bench = Bench()
    bench.mine(4000)

    total = bench.read(Register.TOTAL, 2000.0)
    domains = [bench.read(Register.DOMAIN_0 + n, 2000.0) for n in range(4)]
    assert sum(domains) == total
    assert domains[3] < domains[1]


def test_registers_that_are_no_counters_read_as_written() -> None:
    bench = Bench()

    assert bench.read(Register.TICKET_MASK, 1.0) == 0x000000FF
    assert bench.read(Register.HASH_COUNTING, 1.0) == 0


# As real chips answered


def fresh(name: str, *, temperature_c: float = 60.0) -> Chain:
    """A powered chip that was told nothing yet, with a chip's own units."""
    chip = CHIPS[name]
    chain = Chain(chip, silicons=[chip.silicon], rng=random.Random(1))
    chain.set_mode(WorkMode("real", 1, 1.0), 0.0)
    chain.set_operating_point(
        core_voltage_v=GOOD_V, temperatures_c=[temperature_c], now=0.0
    )
    chain.set_reset(False, 0.0)
    return chain


def test_replies_are_short_until_version_rolling_is_on(
    captures: dict[str, Any],
) -> None:
    for capture in captures["read"]:
        chain, reply = fresh(capture["chip"]), bytes.fromhex(capture["reply"])
        for frame in capture["written"]:
            chain.receive(bytes.fromhex(frame), 0.0)

        chain.receive(frames.read_all(reply[7]), 0.0)

        assert chain.data_to_host() == reply, capture["source"]


def test_registers_read_as_those_of_real_chips(captures: dict[str, Any]) -> None:
    for capture in captures["registers"]:
        chain, register = fresh(capture["chip"]), int(capture["register"], 16)
        if capture["written"] is not None:
            chain.receive(frames.write_all(register, int(capture["written"], 16)), 0.0)
        size = 11 if capture["register"] == "a4" else 9

        chain.receive(frames.read_all(register), 0.0)

        (body,) = ReplyReader(size).feed(chain.data_to_host())
        value = int(capture["read"], 16)
        assert frames.read_reply(body) == RegisterReply(value, 0, register)


def test_a_pll_that_is_not_enabled_does_not_lock() -> None:
    bench = Bench()
    bench.chain.receive(frames.write_all(Register.PLL0, 0x80A80230), 0.0)

    assert bench.read(Register.PLL0, 1.0) == 0x00A80230


def test_a_chip_with_a_thermometer_tells_its_temperature_when_asked_to(
    captures: dict[str, Any],
) -> None:
    for capture in captures["thermometer"]:
        chain = fresh(capture["chip"], temperature_c=capture["celsius"])
        chain.receive(frames.write_all(Register.VERSION_MASK, 0x9000FFFF), 0.0)
        chain.receive(frames.read_all(Register.THERMOMETER), 0.0)
        off = frames.register_reply(11, 0, 0, Register.THERMOMETER)
        assert chain.data_to_host() == off

        for frame in capture["written"]:
            chain.receive(bytes.fromhex(frame), 0.0)
        chain.receive(frames.read_all(Register.THERMOMETER), 0.0)

        assert chain.data_to_host().hex() == capture["reply"]


def test_what_real_chips_found_is_told_in_the_same_bytes(
    captures: dict[str, Any],
) -> None:
    for mined in captures["mined"]:
        chain = fresh(mined["chip"])
        chain.receive(frames.write_all(Register.VERSION_MASK, 0x9000FFFF), 0.0)
        chain.receive(frames.write_all(Register.TICKET_MASK, 0xFF), 0.0)
        chain.receive(bytes.fromhex(mined["job"]), 0.0)
        taken = chain.take_search(1)
        assert taken is not None
        _, work = frames.read_job(bytes.fromhex(mined["job"])[4:-2])
        for text in mined["nonces"]:
            (body,) = ReplyReader(11).feed(bytes.fromhex(text))
            reply = frames.read_reply(body)
            assert isinstance(reply, NonceReply)
            head = RolledVersions(work, 0xFFFF).head(reply.version_field)
            search = replace(
                taken, span=Span(head, reply.nonce - 50, 100, reply.version_field)
            )

            chain.finish_search(search, search.run(), 1.0)

            assert chain.data_to_host().hex() == text


def test_a_host_that_writes_any_length_into_its_jobs_may_mine() -> None:
    bench = Bench()
    for length in (0x36, 0x56, 0xFF):
        job = frames.job(24, work(length))
        body = bytes((job[2], length)) + job[4:-2]
        frame = job[:2] + body + frames.crc16(body).to_bytes(2)
        bench.chain.receive(frame, 0.0)
        taken = bench.chain.bad_frames, bench.chain.is_hashing
        assert taken == (0, True)
        bench.chain.set_mode(SCALED, 0.0)  # forgets it


@pytest.mark.unwatched
@pytest.mark.parametrize("name", ["BM1366", "BM1368", "BM1370", "BM1373"])
def test_each_work_begins_with_the_lowest_versions(name: str) -> None:
    bench = Bench(chip=CHIPS[name], ticket=4)
    firsts, cores = [], set()
    for number in range(60):
        bench.send_job(24, number * 0.5)
        bench.advance(number * 0.5 + 0.5)
        firsts.append(bench.nonces[0].version_field)
        cores |= {reply.nonce >> 25 for reply in bench.nonces}
        fields = [reply.version_field for reply in bench.nonces]
        assert fields == sorted(fields)
        assert fields[-1] < 64
        bench.replies.clear()

    assert max(firsts) < 20
    assert len(set(firsts)) > 8
    assert len(cores) > 30
    assert max(cores) < CHIPS[name].core_count


def test_a_chip_not_told_to_roll_versions_rolls_none() -> None:
    bench = Bench(ticket=1)
    bench.chain.receive(frames.write_all(Register.VERSION_MASK, 0x0000FFFF), 0.0)
    bench.reader.reply_bytes = frames.SHORT_REPLY_BYTES
    job = bench.send_job(24, 0.0)
    bench.advance(5.0)

    assert len(bench.nonces) > 100
    assert {reply.version_field for reply in bench.nonces} == {0}
    assert all(difficulty(job, reply) >= 2.0**-33 for reply in bench.nonces)


@pytest.mark.unwatched
@pytest.mark.parametrize(
    ("name", "chips", "reach"), [("BM1370", 1, 330_000), ("BM1366", 6, 42 << 17)]
)
def test_nonces_lie_where_the_hash_counting_number_lets_a_core_sweep(
    name: str, chips: int, reach: int
) -> None:
    bench = Bench(chip=CHIPS[name], asic_count=chips, ticket=1)
    number = CHIPS[name].hash_counting_number or 0
    bench.chain.receive(frames.write_all(Register.HASH_COUNTING, number), 0.0)
    bench.mine(60)

    offsets = [reply.nonce & 0x1FFFFFF for reply in bench.nonces]
    assert max(offsets) < reach + 32
    assert max(offsets) > 200_000


def test_a_chain_without_power_says_nothing_and_forgets() -> None:
    bench = Bench()
    bench.mine(4)
    bench.replies.clear()
    bench.chain.set_operating_point(core_voltage_v=0, temperatures_c=[60], now=2.0)

    bench.chain.receive(frames.read_all(0), 2.0)
    bench.advance(60.0)

    assert bench.replies == []
    assert bench.chain.next_wake == NEVER
    assert bench.chain.frequency_mhz == 50
    assert bench.chain.activity == 0
    assert not bench.chain.is_hashing


def test_reset_forgets_registers_work_and_half_a_command() -> None:
    bench = Bench()
    bench.send_job(24, 0.0)
    bench.chain.receive(b"\x55\xaa\x52", 0.5)
    bench.chain.set_reset(True, 1.0)
    bench.chain.set_reset(False, 1.1)

    assert bench.chain.frequency_mhz == 50
    assert bench.chain.hashrate_hs == 0
    bench.reader.reply_bytes = frames.SHORT_REPLY_BYTES
    assert bench.read(Register.TICKET_MASK, 1.2) == 0


def test_a_chain_takes_its_addresses_one_by_one() -> None:
    bench = Bench(asic_count=3)
    bench.chain.receive(frames.chain_inactive(), 0.0)
    for address in (0x00, 0x55, 0xAA):
        bench.chain.receive(frames.set_address(address), 0.0)
    bench.chain.receive(frames.read_all(0), 0.0)

    expected = [
        frames.chip_id_reply(WIRE, 11, CHIP.chip_id, a) for a in (0x00, 0x55, 0xAA)
    ]
    assert bench.chain.data_to_host() == b"".join(expected)


def test_a_write_to_one_chip_changes_that_chip_only() -> None:
    bench = Bench(asic_count=2)
    bench.chain.receive(frames.set_address(0) + frames.set_address(0x80), 0.0)

    bench.chain.receive(frames.write_one(0x80, Register.PLL0, PLL_400), 0.0)
    bench.chain.receive(frames.read_all(Register.PLL0), 0.0)

    assert bench.chain.frequency_mhz == (525 + 400) / 2
    assert bench.chain.data_to_host() == frames.register_reply(
        11, PLL_525 | LOCKED, 0x00, Register.PLL0
    ) + frames.register_reply(11, PLL_400 | LOCKED, 0x80, Register.PLL0)


@pytest.mark.parametrize("mode", [SCALED, REAL])
def test_every_chip_of_a_chain_searches_under_its_own_addresses(
    mode: Any, make_chip: Callable[[str], Chip]
) -> None:
    bench = Bench(chip=make_chip("BM1366"), asic_count=6, ticket=1)
    for number in range(6):
        bench.chain.receive(frames.set_address(number * 42), 0.0)
    bench.chain.set_mode(mode, 0.0)
    job = bench.send_job(8, 0.0)
    if mode is REAL:
        for _ in range(120):
            search(bench, 1 << 12)
    bench.advance(1.0)

    chips = [(reply.nonce >> 17 & 0xFF) // 42 for reply in bench.nonces]
    assert set(chips) == set(range(6))
    assert all(reply.id_byte & 0xF8 == 8 for reply in bench.nonces)
    unit = mode.resolution / mode.scale
    values = [difficulty(job, reply) / unit for reply in bench.nonces]
    assert sum(value < 1 for value in values) <= 2


def test_bad_commands_are_counted_and_ignored() -> None:
    bench = Bench()
    bad = bytearray(frames.write_all(Register.PLL0, PLL_400))
    bad[-1] ^= 1
    bench.chain.receive(bytes(bad), 0.0)

    assert bench.chain.bad_frames == 1
    assert bench.chain.frequency_mhz == 525


def test_a_job_of_the_wrong_length_is_ignored() -> None:
    bench = Bench()
    midstates = [bytes(32)] * 4

    bench.chain.receive(frames.midstate_job(4, work(), midstates), 0.0)

    assert not bench.chain.is_hashing


@each("version", ["601", "401", "202"])
def test_a_job_id_of_any_value_is_searched(version: str) -> None:
    bench = Bench(chip=board(version).chip, ticket=1)
    bench.chain.set_mode(REAL, 0.0)
    for job_id in (127, 128, 255):
        bench.send_job(job_id, 0.0)
        taken = bench.chain.take_search(1)
        assert taken is not None
        bench.chain.finish_search(taken, [taken.span.first_nonce], 0.0)
    bench.take(0.0)

    assert len(bench.nonces) == 3


def test_a_job_without_midstates_is_ignored() -> None:
    bench = Bench(chip=board("102").chip)

    bench.chain.receive(frames.midstate_job(4, work(), []), 0.0)

    assert not bench.chain.is_hashing


def test_an_undervolted_chip_reports_rubbish_and_counts_errors() -> None:
    bench = Bench(volts=WEAK_V)
    job = bench.send_job(24, 0.0)
    bench.advance(3000.0)

    expected = bench.expected_nonces(3000.0)
    assert len(bench.nonces) == pytest.approx(expected, abs=4 * expected**0.5)
    share = bench.chain.error_fraction
    assert 0.01 < share < 0.5
    scaled = [difficulty(job, reply) * SCALED.scale for reply in bench.nonces]
    rubbish = sum(value < TICKET for value in scaled)
    assert rubbish == pytest.approx(share * expected, abs=4 * expected**0.5)
    hashes = 3000.0 * bench.chain.hashrate_hs / HASHES_PER_COUNT
    assert bench.read(Register.ERROR_COUNT, 3000.0) == pytest.approx(
        share * hashes, rel=0.02
    )


def test_a_chip_with_far_too_little_voltage_reports_nothing() -> None:
    bench = Bench(volts=0.6)
    bench.mine(200)

    assert bench.nonces == []
    assert bench.chain.activity == 1


def test_a_chip_recovers_when_its_voltage_comes_back() -> None:
    bench = Bench(volts=0.6)
    bench.send_job(24, 0.0)
    bench.advance(10.0)
    bench.chain.set_operating_point(
        core_voltage_v=GOOD_V, temperatures_c=[60], now=10.0
    )
    bench.advance(70.0)

    expected = bench.expected_nonces(60.0)
    assert len(bench.nonces) == pytest.approx(expected, abs=4 * expected**0.5)


@each("slice_s", [0.013, 1.0, 60.0])
def test_time_may_be_sliced_in_any_way(slice_s: float) -> None:
    exact, sliced = Bench(seed=3), Bench(seed=3)
    for bench in (exact, sliced):
        bench.send_job(24, 0.0)
    exact.advance(60.0)
    for number in range(1, round(60 / slice_s) + 1):
        sliced.chain.step(number * slice_s)
        sliced.take(number * slice_s)
    sliced.chain.step(60.0)
    sliced.take(60.0)

    assert exact.nonces == sliced.nonces
    assert len(exact.nonces) > 30
    assert exact.read(Register.TOTAL, 60.0) == sliced.read(Register.TOTAL, 60.0)


def test_inputs_come_after_what_was_due_before_them() -> None:
    stepped, lazy = Bench(seed=4), Bench(seed=4)
    for bench in (stepped, lazy):
        bench.send_job(24, 0.0)
    stepped.advance(30.0)
    for bench in (stepped, lazy):
        bench.send_job(48, 30.0)

    assert stepped.nonces == lazy.nonces


def test_real_work_is_searched_outside_and_counted_exactly() -> None:
    bench = Bench(ticket=1)
    bench.chain.set_mode(REAL, 0.0)
    job = bench.send_job(24, 0.0)
    searched = sum(search(bench, 1 << 14).span.count for _ in range(32))

    assert len(bench.nonces) > 60
    for reply in bench.nonces:
        assert difficulty(job, reply) >= REAL.resolution
    total = bench.read(Register.TOTAL, 1.0)
    assert total == pytest.approx(searched / 4096, abs=4)


def test_real_searches_never_overlap_though_several_are_out() -> None:
    bench = Bench()
    bench.chain.set_mode(REAL, 0.0)
    bench.send_job(24, 0.0)
    taken = [bench.chain.take_search(1 << 22) for _ in range(300)]

    searches = [search.span for search in taken if search]
    spans = sorted((s.field, s.first_nonce, s.count) for s in searches)
    for (version, first, count), (following, next_first, _) in itertools.pairwise(
        spans
    ):
        assert version != following or first + count <= next_first


def test_real_searches_end_when_all_nonces_are_tried() -> None:
    bench = Bench(version_mask=0)
    bench.chain.set_mode(REAL, 0.0)
    bench.send_job(24, 0.0)
    searched = 0
    while taken := bench.chain.take_search(1 << 32):
        searched += taken.span.count

    assert searched == 1 << 32


def test_real_searches_go_on_with_the_chips_that_are_left() -> None:
    bench = Bench(asic_count=3)
    bench.chain.set_mode(REAL, 0.0)
    bench.send_job(24, 0.0)
    for _ in range(2):
        bench.chain.take_search(1000)
    bench.chain.set_working(1, 0.5)

    taken = bench.chain.take_search(1000)

    assert taken is not None
    assert taken.asic_index == 0


def test_nonces_of_the_job_before_are_still_reported_in_real_work() -> None:
    bench = Bench()
    bench.chain.set_mode(REAL, 0.0)
    bench.send_job(24, 0.0)
    taken = bench.chain.take_search(1000)
    assert taken is not None
    bench.send_job(48, 0.5)

    bench.chain.finish_search(taken, [taken.span.first_nonce], 0.6)
    bench.take(0.6)

    assert [reply.id_byte & 0xF0 for reply in bench.nonces] == [24 << 1]


def test_a_search_from_before_a_reset_is_worthless() -> None:
    bench = Bench()
    bench.chain.set_mode(REAL, 0.0)
    bench.send_job(24, 0.0)
    taken = bench.chain.take_search(1000)
    assert taken is not None
    bench.chain.set_reset(True, 1.0)
    bench.chain.set_reset(False, 1.1)

    bench.chain.finish_search(taken, [1, 2, 3], 1.2)

    assert bench.chain.data_to_host() == b""
    bench.reader.reply_bytes = frames.SHORT_REPLY_BYTES
    assert bench.read(Register.TOTAL, 1.2) == 0


def test_another_mode_forgets_work_and_counts() -> None:
    bench = Bench()
    bench.mine(10)
    bench.chain.set_mode(REAL, 5.0)

    assert not bench.chain.is_hashing
    assert bench.chain.take_search(1000) is None
    assert bench.read(Register.TOTAL, 5.0) == 0
    assert bench.read(Register.PLL0, 5.0) == PLL_525 | LOCKED


def test_scaled_work_leaves_nothing_to_search_outside() -> None:
    bench = Bench()
    bench.send_job(24, 0.0)

    assert bench.chain.take_search(1000) is None


def test_of_a_chips_defects_each_takes_its_own() -> None:
    shares = [0.25, 0.25, 0.3, 0.2]

    assert SOUND.left_of(shares) is shares
    assert Defects(frozenset({1, 3})).left_of(shares) == [0.25, 0.0, 0.3, 0.0]
    assert sum(Defects(loss=0.4, errors=0.1).left_of(shares)) == pytest.approx(0.6)


@each("scale", [2.0**32, 3e9, 7e7, 1e13])
def test_what_a_hash_stands_for_does_not_change_what_a_chip_tells(scale: float) -> None:
    bench = Bench()
    bench.chain.set_scale(scale, 0.0)
    bench.send_job(24, 0.0)

    bench.advance(100.0)

    most = bench.chain.hashrate_hs / scale  # of which each is told
    expected = 100.0 * min(most, bench.expected_nonces(1.0))
    assert len(bench.nonces) == pytest.approx(expected, abs=4 * expected**0.5)
    counted = bench.read(Register.TOTAL, 100.0)
    hashes = 100.0 * bench.chain.hashrate_hs / HASHES_PER_COUNT
    assert counted == pytest.approx(hashes, rel=0.03)


def test_counters_go_on_when_a_hash_stands_for_more_or_less() -> None:
    bench = Bench()
    bench.send_job(24, 0.0)
    bench.advance(50.0)
    bench.chain.set_scale(1e9, 50.0)
    bench.send_job(32, 50.0)
    bench.advance(100.0)

    hashes = 100.0 * bench.chain.hashrate_hs / HASHES_PER_COUNT
    assert bench.read(Register.TOTAL, 100.0) == pytest.approx(hashes, rel=0.03)


@each("ticket_bits", [0, 8, 12])
def test_targets_are_whole_bits_where_the_scale_is_a_power_of_two(
    ticket_bits: int,
) -> None:
    assert SCALED.target(ticket_bits) == (1 << 256 - ticket_bits) - 1
    assert REAL.target(ticket_bits) == (1 << 256 - 12 - ticket_bits) - 1
    triple = WorkMode("scaled", 3 * 2**20, 1.0)
    assert triple.target(ticket_bits) == 3 * (1 << 256 - 12 - ticket_bits) - 1
