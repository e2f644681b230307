import random

import pytest

from softaxe.asic import frames
from softaxe.asic.chip import REAL, SCALED, Chain, failing_share
from softaxe.asic.frames import NonceReply, RegisterReply, ReplyReader
from softaxe.bitcoin import kernel
from softaxe.bitcoin.header import Work, difficulty_of, sha256d
from softaxe.catalog import board

CHIP = board("601").chip
PLL_525 = 0x40A80230
"""The reference's register value for 525 MHz."""


def work(number: int = 0) -> Work:
    root = number.to_bytes(32, "little")
    return Work(0x20000000, bytes(32), root, 1_700_000_000, 0x1705AE3A)


class Bench:
    """A powered chain at 525 MHz, and a record of what it says."""

    def __init__(self, *, seed: int = 1, volts: float = 1.144) -> None:
        self.chain = Chain(CHIP, asic_count=1, rng=random.Random(seed))
        self.reader = ReplyReader()
        self.replies: list[tuple[float, NonceReply | RegisterReply]] = []
        self.jobs: dict[int, Work] = {}
        self.chain.set_operating_point(core_voltage_v=volts, temperature_c=60, now=0)
        self.chain.set_reset(False, 0.0)
        for frame in (
            frames.write_all(frames.Register.PLL0, PLL_525),
            frames.write_all(frames.Register.TICKET_MASK, frames.ticket_mask(256)),
            frames.write_all(
                frames.Register.VERSION_MASK, frames.version_mask_value(0x1FFFE000)
            ),
        ):
            self.chain.receive(frame, 0.0)

    def send_job(self, job_id: int, now: float) -> None:
        self.jobs[job_id] = work(len(self.jobs))
        self.chain.receive(frames.job(job_id, self.jobs[job_id]), now)

    def advance(self, until: float) -> None:
        while (due := self.chain.next_wake) <= until:
            self.chain.step(due)
            self.take(due)

    def take(self, now: float) -> None:
        for body in self.reader.feed(self.chain.data_to_host()):
            self.replies.append((now, frames.read_reply(body)))

    def mine(self, jobs: int) -> None:
        """Half a second of each of `jobs` jobs."""
        for number in range(jobs):
            self.advance(number * 0.5 - 1e-9)
            self.send_job((24 * number + 24) % 128, number * 0.5)
        self.advance(jobs * 0.5 - 1e-9)

    @property
    def nonces(self) -> list[NonceReply]:
        return [reply for _, reply in self.replies if isinstance(reply, NonceReply)]


def difficulty(job: Work, reply: NonceReply) -> float:
    version = job.version | reply.version_field << 13
    nonce = int.from_bytes(reply.nonce.to_bytes(4), "little")
    return difficulty_of(sha256d(job.header(nonce=nonce, version=version)))


def test_every_nonce_was_searched_and_meets_the_ticket() -> None:
    bench = Bench()
    bench.send_job(24, 0.0)
    bench.advance(120.0)

    assert len(bench.nonces) > 60
    for reply in bench.nonces:
        assert reply.id_byte & 0xF0 == 24 << 1
        value = difficulty(bench.jobs[24], reply) * SCALED.scale
        assert value >= 256 or value < 1  # rubbish is 0.03 % of them


def test_the_nonce_rate_is_that_of_the_hash_rate() -> None:
    bench = Bench()
    bench.mine(4000)

    expected = 2000 * bench.chain.hashrate_hs / (256 * 2**32)
    assert len(bench.nonces) == pytest.approx(expected, abs=4 * expected**0.5)


def test_no_nonce_of_a_job_is_reported_twice() -> None:
    bench = Bench()
    bench.send_job(24, 0.0)
    bench.advance(300.0)

    seen = [(reply.nonce, reply.version_field) for reply in bench.nonces]
    assert len(set(seen)) == len(seen)


def test_nonces_come_at_their_own_time_not_at_the_job_s() -> None:
    bench = Bench()
    bench.mine(200)

    fractions = [now % 0.5 for now, _ in bench.replies]
    assert any(0.1 < fraction < 0.4 for fraction in fractions)


def test_an_early_new_job_drops_what_the_old_one_would_have_brought() -> None:
    bench = Bench()
    for number in range(3000):
        bench.send_job(24, number * 0.05)
        bench.advance(number * 0.05 + 0.05 - 1e-9)

    expected = 150 * bench.chain.hashrate_hs / (256 * 2**32)
    assert len(bench.nonces) == pytest.approx(expected, abs=4 * expected**0.5)


def test_counters_count_hashes() -> None:
    bench = Bench()
    bench.mine(200)
    bench.chain.receive(frames.read_all(0x8C), 100.0)
    bench.chain.receive(frames.read_all(0x88), 100.0)
    bench.take(100.0)

    registers = {r.register: r.value for _, r in bench.replies[-2:]}  # type: ignore[union-attr]
    expected = 100 * bench.chain.hashrate_hs / 2**32
    assert registers[0x8C] == pytest.approx(expected, rel=0.03)
    assert registers[0x88] == pytest.approx(expected / 4, rel=0.1)


def test_a_chain_without_power_says_nothing_and_forgets() -> None:
    bench = Bench()
    bench.mine(4)
    bench.chain.set_operating_point(core_voltage_v=0, temperature_c=60, now=2.0)
    bench.replies.clear()

    bench.chain.receive(frames.read_all(0), 2.0)
    bench.advance(60.0)

    assert bench.replies == []
    assert bench.chain.frequency_mhz == 50
    assert not bench.chain.is_hashing


def test_reset_forgets_the_registers() -> None:
    bench = Bench()
    bench.chain.set_reset(True, 1.0)
    bench.chain.set_reset(False, 1.1)

    assert bench.chain.frequency_mhz == 50


def test_the_chip_answers_its_id_at_its_address() -> None:
    bench = Bench()
    bench.chain.receive(frames.chain_inactive() + frames.set_address(0x2A), 0.0)
    bench.chain.receive(frames.read_all(0), 0.0)

    assert bench.chain.data_to_host() == frames.chip_id_reply(CHIP.chip_id, 0x2A)


def test_bad_commands_are_counted() -> None:
    bench = Bench()
    bad = bytearray(frames.read_all(0))
    bad[-1] ^= 1
    bench.chain.receive(bytes(bad), 0.0)

    assert bench.chain.data_to_host() == b""
    assert bench.chain.bad_frames == 1


@pytest.mark.parametrize(
    ("mhz", "volts", "celsius", "low", "high"),
    [
        (525, 1.144, 60, 0.0, 0.001),
        (525, 1.0, 60, 0.5, 1.0),
        (625, 1.144, 60, 0.1, 0.9),
        (625, 1.244, 60, 0.0, 0.001),
        (400, 1.0, 60, 0.0, 0.1),
    ],
)
def test_too_little_voltage_for_the_frequency_fails(
    mhz: float, volts: float, celsius: float, low: float, high: float
) -> None:
    share = failing_share(
        CHIP.silicon, frequency_mhz=mhz, core_voltage_v=volts, temperature_c=celsius
    )

    assert low <= share <= high


def test_heat_makes_failing_worse() -> None:
    shares = [
        failing_share(
            CHIP.silicon, frequency_mhz=525, core_voltage_v=1.06, temperature_c=t
        )
        for t in (40, 60, 80)
    ]

    assert shares == sorted(shares)


def test_an_undervolted_chip_reports_rubbish_and_counts_errors() -> None:
    bench = Bench(volts=1.06)
    bench.mine(2000)
    bench.chain.receive(frames.read_all(0x4C), 1000.0)
    bench.take(1000.0)

    assert isinstance(bench.replies[-1][1], RegisterReply)
    assert bench.replies[-1][1].value > 1000
    assert bench.chain.error_fraction > 0.01


def test_time_may_be_sliced_in_any_way() -> None:
    coarse, fine = Bench(seed=3), Bench(seed=3)
    for bench in (coarse, fine):
        bench.send_job(24, 0.0)
    coarse.advance(60.0)
    for step in range(1, 6001):
        now = step / 100
        fine.chain.step(now) if fine.chain.next_wake <= now else None
        fine.take(now)

    assert coarse.nonces == fine.nonces


def test_real_work_is_searched_outside_and_counted() -> None:
    bench = Bench()
    bench.chain.set_mode(REAL, 0.0)
    bench.send_job(24, 0.0)
    searched = 0
    for _ in range(8):
        search = bench.chain.take_search(1 << 15)
        assert search is not None
        found = kernel.search(
            search.header, search.first_nonce, search.count, search.target
        )
        bench.chain.finish_search(search, found, 1.0)
        searched += search.count
    bench.chain.receive(frames.read_all(0x8C), 1.0)
    bench.take(1.0)

    for reply in bench.nonces:
        assert difficulty(bench.jobs[24], reply) >= 256 * REAL.resolution
    total = bench.replies[-1][1]
    assert isinstance(total, RegisterReply)
    assert total.value == pytest.approx(searched / 4096, rel=0.5)


def test_real_searches_never_overlap_and_roll_the_version_at_the_end() -> None:
    bench = Bench()
    bench.chain.set_mode(REAL, 0.0)
    bench.send_job(24, 0.0)
    ranges = []
    for _ in range(6):
        search = bench.chain.take_search(1 << 30)
        assert search is not None
        ranges.append((search.version_field, search.first_nonce, search.count))

    for version, first, count in ranges:
        others = [r for r in ranges if r[0] == version and r[1] != first]
        assert all(not first <= other < first + count for _, other, _ in others)
    assert len({version for version, _, _ in ranges}) == 2


def test_a_search_from_before_a_reset_is_worthless() -> None:
    bench = Bench()
    bench.chain.set_mode(REAL, 0.0)
    bench.send_job(24, 0.0)
    search = bench.chain.take_search(1000)
    assert search is not None
    bench.chain.set_reset(True, 1.0)
    bench.chain.set_reset(False, 1.1)

    bench.chain.finish_search(search, [1, 2, 3], 1.2)

    assert bench.chain.data_to_host() == b""


def test_scaled_work_leaves_nothing_to_search_outside() -> None:
    bench = Bench()
    bench.send_job(24, 0.0)

    assert bench.chain.take_search(1000) is None
