import json
from dataclasses import replace
from typing import Any

import pytest

from softaxe.asic import frames
from softaxe.asic.driver import Driver, NonceFound
from softaxe.bitcoin.header import Work, nbits_difficulty
from softaxe.catalog import board
from softaxe.catalog.firmware import firmware
from softaxe.device.mining import SCALED_JOB_S, Mining, Share
from softaxe.stratum.messages import Notify, parse, swap_words
from softaxe.units import NEVER, Level

INTERVAL_S = 0.5


class Bench:
    """Mining with a chip that only notes what it is sent."""

    def __init__(
        self, vectors: dict[str, Any], *, best: int = 0, release: str = "2.12.2"
    ) -> None:
        self.lines: list[str] = []
        self.sent: list[Work] = []
        self.masks: list[int] = []
        self.mining = Mining(
            interval_ms=INTERVAL_S * 1000,
            chip_tag="bm1370",
            best_difficulty=best,
            rows=firmware(release).rows,
            log=self.log,
        )
        vector = vectors["nonce_difficulty"][1]
        self.extranonce1 = bytes.fromhex(vector["extranonce1"])
        self.mining.set_extranonce(self.extranonce1, 4)
        self.notify = Notify(
            job_id="1d2e0c4d3d",
            prevhash=swap_words(bytes.fromhex(vector["prev_block_hash"])),
            coinbase1=bytes.fromhex(vector["coinbase_1"]),
            coinbase2=bytes.fromhex(vector["coinbase_2"]),
            merkle_branch=tuple(bytes.fromhex(b) for b in vector["branches"]),
            version=int(vector["version"], 16),
            nbits=int(vector["nbits"], 16),
            ntime=int(vector["ntime"], 16),
            is_clean=True,
        )
        self.nonce = NonceFound(
            job_id=24,
            nonce=int(vector["nonce"], 16),
            version_bits=0,
            asic_number=0,
            core=104,
            small_core=5,
        )

    def log(self, level: Level, tag: str, text: str) -> None:
        self.lines.append(f"{level} {tag}: {text}")

    def send_work(self, work: Work) -> int:
        self.sent.append(work)
        return 24 * len(self.sent) % 128

    def set_version_mask(self, mask: int) -> None:
        self.masks.append(mask)

    def take(
        self,
        notify: Notify,
        *,
        difficulty: float = 500.0,
        now: float = 0,
        network: float | None = None,
        ordered_block: float = 0.0,
    ) -> None:
        self.mining.take_notify(
            notify,
            now,
            network_difficulty=network or nbits_difficulty(notify.nbits),
            ordered_block=ordered_block,
            pool_difficulty=difficulty,
            version_mask=0x1FFFE000,
            driver=self,
        )

    def run(self, jobs: int) -> None:
        for _ in range(jobs):
            self.mining.step(self.mining.next_wake, self)


@pytest.fixture
def bench(vectors: dict[str, Any]) -> Bench:
    made = Bench(vectors)
    made.mining.start(0.0)
    return made


def test_the_nonce_of_the_reference_becomes_its_share(
    bench: Bench, vectors: dict[str, Any]
) -> None:
    bench.take(bench.notify)
    bench.run(1)

    checked = bench.mining.check(bench.nonce)

    vector = vectors["nonce_difficulty"][1]
    assert bench.sent[0].merkle_root.hex() == vector["expected_root"]
    assert checked is not None
    assert checked.difficulty == pytest.approx(vector["difficulty"])
    assert checked.share == Share("1d2e0c4d3d", bytes(4), 0x647025B5, 0x0A029ED1, 0)
    assert bench.mining.count(checked)
    assert bench.mining.best_difficulty == vector["expected_int_difficulty"]
    expected = (
        "I asic_result: ID: 1d2e0c4d3d, ASIC nr: 0, ver: 20000004 "
        "Nonce 0A029ED1 diff 683.5 of 500."
    )
    assert expected in bench.lines


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("2.8.1", "Ver: 20000004 Nonce 0A029ED1 diff 683.5 of 2097152."),
        (
            "2.10.1",
            "ID: 1d2e0c4d3d, ver: 20000004 Nonce 0A029ED1 diff 683.5 of 2097152.",
        ),
        (
            "2.13.2",
            "ID: 1d2e0c4d3d, ASIC nr: 0, ver: 20000004 Nonce 0A029ED1 "
            "diff 683.5 of 2097152.",
        ),
        (
            "2.14.0",
            "ID: 1d2e0c4d3d, ASIC nr: 0, Core: 104/5, ver: 20000004 Nonce 0A029ED1 "
            "diff 683.5 of 2.09715e+06.",
        ),
    ],
)
def test_every_release_words_a_result_its_own_way(
    vectors: dict[str, Any], release: str, line: str
) -> None:
    bench = Bench(vectors, release=release)
    bench.mining.start(0.0)
    bench.take(bench.notify, difficulty=2097152.5)
    bench.run(1)
    checked = bench.mining.check(bench.nonce)
    assert checked is not None

    bench.mining.count(checked)

    assert f"I asic_result: {line}" in bench.lines


def test_a_captured_job_goes_to_the_chip_and_comes_back_as_the_share_that_was_accepted(
    bench: Bench, captures: dict[str, Any]
) -> None:
    trip = captures["round_trip"]
    line = json.dumps({"id": None, "method": "mining.notify", "params": trip["notify"]})
    notify = parse(line.encode(), firmware().rows)
    assert isinstance(notify, Notify)
    extranonce1 = bytes.fromhex(trip["extranonce1"])
    bench.mining.set_extranonce(extranonce1, trip["extranonce2_size"])
    driver = Driver(board("601").chip, asic_count=1, log=bench.log)
    bench.take(notify, difficulty=trip["pool_difficulty"])
    bench.run(0x17 + 1)  # the job had this extranonce2

    assert frames.job(0x68, bench.sent[-1]).hex() == trip["job"]
    driver.set_version_mask(0x1FFFE000)  # from here on replies have versions
    driver.receive(bytes.fromhex(trip["nonce"]), 0.0)
    (found,) = driver.events()
    assert isinstance(found, NonceFound)
    assert (found.job_id, found.core, found.small_core) == (0x68, 38, 2)
    slot = 24 * len(bench.sent) % 128
    checked = bench.mining.check(replace(found, job_id=slot))

    assert checked is not None
    assert checked.difficulty == pytest.approx(trip["difficulty"], abs=0.05)
    submit = trip["submit"]
    assert checked.share == Share(
        submit["job_id"],
        bytes.fromhex(submit["extranonce2"]),
        int(submit["ntime"], 16),
        int(submit["nonce"], 16),
        int(submit["version_bits"], 16),
    )


def test_below_the_pool_s_difficulty_a_nonce_only_counts_as_best(bench: Bench) -> None:
    bench.take(bench.notify, difficulty=683.6)
    bench.run(1)

    checked = bench.mining.check(bench.nonce)

    assert checked is not None
    assert not checked.is_share
    assert bench.mining.count(checked)
    assert bench.mining.best_session_difficulty == 683
    assert 683 < bench.mining.exact_session_difficulty < 684
    assert bench.mining.exact_difficulty == bench.mining.exact_session_difficulty


@pytest.mark.parametrize(("ordered", "found"), [(0.0, 683), (5e14, 5e14 + 683)])
def test_a_block_on_order_is_luck_and_leaves_the_network_as_it_is(
    bench: Bench, ordered: float, found: int
) -> None:
    bench.take(bench.notify, difficulty=500, network=400.0, ordered_block=ordered)
    bench.run(1)

    checked = bench.mining.check(bench.nonce)

    assert checked is not None
    assert checked.is_block
    assert int(checked.difficulty) == found
    assert bench.mining.block is not None
    assert bench.mining.block.network_difficulty == max(400, ordered)


def test_an_older_best_is_kept(vectors: dict[str, Any]) -> None:
    bench = Bench(vectors, best=100_000)
    bench.mining.start(0.0)
    bench.take(bench.notify)
    bench.run(1)

    checked = bench.mining.check(bench.nonce)

    assert checked is not None
    assert not bench.mining.count(checked)
    assert bench.mining.best_difficulty == 100_000
    assert bench.mining.best_session_difficulty == 683


def test_a_nonce_of_an_unknown_job_is_dropped_with_a_warning(bench: Bench) -> None:
    bench.take(bench.notify)
    bench.run(1)

    assert bench.mining.check(replace(bench.nonce, job_id=0x30)) is None
    assert bench.lines[-1] == "W bm1370: Invalid job nonce found, 0x30"


def test_each_work_has_its_own_extranonce2_and_comes_at_the_interval(
    bench: Bench,
) -> None:
    bench.take(bench.notify)
    due = []
    for _ in range(25):
        due.append(bench.mining.next_wake)
        bench.run(1)

    assert due == [pytest.approx(number * INTERVAL_S) for number in range(25)]
    assert len({work.merkle_root for work in bench.sent}) == 25


def test_a_new_job_waits_behind_ten_queued_ones_unless_it_is_clean(
    bench: Bench,
) -> None:
    bench.take(bench.notify)
    bench.run(1)
    bench.take(replace(bench.notify, job_id="2", ntime=1_700_000_000, is_clean=False))
    bench.run(11)

    assert [work.ntime for work in bench.sent] == [0x647025B5] * 11 + [1_700_000_000]

    bench.take(replace(bench.notify, job_id="3", ntime=1_700_000_100))
    bench.run(1)

    assert bench.sent[-1].ntime == 1_700_000_100
    assert "I stratum_task: Clean Jobs: clearing queue" in bench.lines


def test_clean_jobs_invalidate_what_the_chip_works_on(bench: Bench) -> None:
    bench.take(bench.notify)
    bench.run(1)
    bench.take(replace(bench.notify, job_id="2"))

    assert bench.mining.check(bench.nonce) is None


def test_without_jobs_the_chip_gets_nothing_and_a_notify_wakes_it(bench: Bench) -> None:
    bench.run(1)
    assert bench.sent == []
    assert bench.mining.next_wake == NEVER

    bench.take(bench.notify, now=7.0)

    assert bench.mining.next_wake == 7.0


def test_the_chip_learns_the_mask_once_and_when_it_changes(bench: Bench) -> None:
    bench.take(bench.notify)
    bench.run(3)
    assert bench.masks == [0x1FFFE000]
    assert "I create_jobs_task: Set chip version rolls 65535" in bench.lines

    bench.mining.stop()
    bench.mining.start(10.0)
    bench.run(2)
    assert bench.masks == [0x1FFFE000] * 2


def test_a_nonce_better_than_the_network_is_a_block(bench: Bench) -> None:
    easy = replace(bench.notify, nbits=0x1D00FFFF)
    bench.take(easy)
    bench.run(1)
    nonce = replace(bench.nonce, nonce=0)
    found = False
    for number in range(200_000):
        checked = bench.mining.check(replace(nonce, nonce=number))
        assert checked is not None
        assert checked.is_block is (checked.difficulty > 1.0)
        if checked.difficulty > 1e-5:
            found = True
            break

    assert found
    assert bench.mining.is_block_found is False


def test_the_block_being_mined_is_read_from_the_notify(bench: Bench) -> None:
    bench.take(bench.notify)

    block = bench.mining.block
    assert block is not None
    assert block.height == 791_433
    assert block.scriptsig is not None
    assert block.scriptsig.endswith("/slush/")
    assert block.network_difficulty == 49549703178592
    assert "I stratum_task: Block height 791433" in bench.lines


def test_a_job_of_scaled_work_lasts_longer_and_fewer_are_queued(bench: Bench) -> None:
    bench.mining.set_scale(1 << 32)
    bench.take(bench.notify)
    bench.mining.start(0.0)

    bench.run(1)
    bench.take(replace(bench.notify, job_id="b", is_clean=False))
    times = []
    for _ in range(2):
        times.append(bench.mining.next_wake)
        bench.run(1)

    assert times == [SCALED_JOB_S, 2 * SCALED_JOB_S]
    first, queued, new = (work.merkle_root for work in bench.sent)
    assert first != queued
    assert new == first  # the new notify's extranonce2 begins anew


def test_a_new_block_cuts_a_job_of_scaled_work_short(bench: Bench) -> None:
    bench.mining.set_scale(1 << 32)
    bench.take(bench.notify)
    bench.mining.start(0.0)
    bench.run(1)

    bench.take(bench.notify, now=1.0)

    assert bench.mining.next_wake == 1.0
