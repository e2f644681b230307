from typing import Any

import pytest
from msgspec.structs import replace
from tests.each import each

from softaxe.asic import frames
from softaxe.asic.driver import Driver, NonceFound
from softaxe.bitcoin.header import Work, nbits_difficulty, sha256d
from softaxe.catalog import board
from softaxe.catalog.firmware import firmware
from softaxe.device.mining import SCALED_JOB_S, BlockInfo, Mining, Payee, Share
from softaxe.stratum.messages import Notify, swap_words
from softaxe.units import NEVER, Level

INTERVAL_S = 0.5


class Bench:
    """Mining with a chip that only notes what it is sent."""

    def __init__(
        self,
        vectors: dict[str, Any],
        *,
        best: int = 0,
        release: str = "2.12.2",
        tells_small: bool = False,
    ) -> None:
        self.lines: list[str] = []
        self.sent: list[Work] = []
        self.masks: list[int] = []
        self.mining = Mining(
            interval_ms=INTERVAL_S * 1000,
            chip_tag="bm1370",
            best_difficulty=best,
            tells_small=tells_small,
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

    def log(self, level: Level, tag: str, text: str, /, **values: object) -> None:
        self.lines.append(f"{level} {tag}: {text.format(**values) if values else text}")

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
        user: str = "",
        is_told: bool = True,
    ) -> None:
        self.mining.take_notify(
            notify,
            now,
            network_difficulty=network or nbits_difficulty(notify.nbits),
            ordered_block=ordered_block,
            pool_difficulty=difficulty,
            version_mask=0x1FFFE000,
            payee=Payee(user, is_told),
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


@each(
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


def test_a_real_block_and_what_a_chip_found_before_it_are_worth_what_its_host_logged(
    vectors: dict[str, Any], captures: dict[str, Any]
) -> None:
    block, bench = captures["block"], Bench(vectors, release="2.14.0")
    bench.mining.start(0.0)
    notify = replace(
        bench.notify,
        prevhash=swap_words(bytes.fromhex(block["prevhash"])),
        merkle_root=bytes.fromhex(block["merkle_root"])[::-1],
        is_v2=True,  # a job that is one header; its pool's coinbase is not known
        version=int(block["version"], 16),
        ntime=int(block["ntime"], 16),
        nbits=int(block["nbits"], 16),
    )
    driver = Driver(board("207").chip, asic_count=1, log=bench.log)
    driver.set_version_mask(0x1FFFE000)  # from here on replies have versions
    bench.take(notify)
    bench.run(1)
    (work,) = bench.sent
    hashes, found = [], []
    for nonce, version, difficulty in block["results"]:
        field = (int(version, 16) ^ work.version) >> frames.VERSION_SHIFT
        _, id_byte = frames.WIRES["BM1366"].result(24, field, 0)
        order = int.from_bytes(nonce.to_bytes(4), "little")
        driver.receive(frames.nonce_reply(11, order, id_byte, field), 0.0)
        (told,) = driver.events()
        assert isinstance(told, NonceFound)

        checked = bench.mining.check(told)

        assert checked is not None
        assert checked.difficulty == pytest.approx(difficulty, rel=1e-12)
        assert told.core < board("207").chip.core_count
        header = work.header(nonce=told.nonce, version=checked.version)
        hashes.append(sha256d(header)[::-1].hex())
        found.append(checked.is_block)
        bench.mining.count(checked)
    assert found == [one == block["hash"] for one in hashes]
    assert sum(found) == bench.mining.blocks_found == 1
    assert bench.mining.best_difficulty == 125_538_251_293_054


def test_below_the_pool_s_difficulty_a_nonce_only_counts_as_best(bench: Bench) -> None:
    bench.take(bench.notify, difficulty=683.6)
    bench.run(1)

    checked = bench.mining.check(bench.nonce)

    assert checked is not None
    assert not checked.is_share
    assert bench.mining.count(checked)
    assert int(bench.mining.exact_session_difficulty) == 683
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


@each("release", ["2.8.1", "2.12.2", "2.14.2"])
def test_the_log_tells_difficulties_below_1(
    vectors: dict[str, Any], release: str
) -> None:
    bench = Bench(vectors, release=release, tells_small=True)
    bench.mining.start(0.0)
    bench.take(bench.notify, difficulty=0.02)
    bench.run(1)
    checked = bench.mining.check(bench.nonce)
    assert checked is not None
    bench.mining.count(replace(checked, difficulty=0.84))

    assert "I create_jobs_task: New pool difficulty 0.02" in bench.lines
    assert any(line.endswith(" diff 0.84 of 0.02.") for line in bench.lines)


def test_an_older_best_is_kept(vectors: dict[str, Any]) -> None:
    bench = Bench(vectors, best=100_000)
    bench.mining.start(0.0)
    bench.take(bench.notify)
    bench.run(1)

    checked = bench.mining.check(bench.nonce)

    assert checked is not None
    assert not bench.mining.count(checked)
    assert bench.mining.best_difficulty == 100_000
    assert int(bench.mining.exact_session_difficulty) == 683


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
    assert bench.mining.shows_block is False


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


def job_of(
    vector: dict[str, Any], *, is_clean: bool = False, version: int = 4
) -> Notify:
    """A job with a coinbase of the reference; its extranonce1 has 7 bytes."""
    return Notify(
        job_id="1",
        prevhash=bytes(32),
        coinbase1=bytes.fromhex(vector["coinbase_1"]),
        coinbase2=bytes.fromhex(vector["coinbase_2"]),
        merkle_branch=(),
        version=version,
        nbits=0x1705DD01,
        ntime=1,
        is_clean=is_clean,
    )


def started(vectors: dict[str, Any], release: str) -> Bench:
    made = Bench(vectors, release=release)
    made.mining.set_extranonce(bytes(7), 8)
    made.mining.start(0.0)
    return made


PAYS = "1CK6KHY6MHgYvmRQ4PAafKYDrg1ejbH1cE"


def test_releases_read_ever_more_of_a_coinbase(vectors: dict[str, Any]) -> None:
    vector = vectors["notify_decode"][0]
    seen = {}
    for release in ("2.10.1", "2.11.0", "2.13.2", "2.14.2"):
        bench = started(vectors, release)
        bench.take(job_of(vector, version=0x20000010), user=f"{PAYS}.a")
        seen[release] = bench.mining.block
        told = [line for line in bench.lines if "(Your payout address)" in line]
        assert len(told) == (1 if release >= "2.13" else 0)

    assert seen["2.10.1"] is None
    script = seen["2.11.0"]
    assert script == BlockInfo(790246, vector["scriptsig"], 48005534313578)
    paid = seen["2.13.2"]
    assert paid is not None
    assert [(one.value_sat, one.address[:12]) for one in paid.outputs] == [
        (732099489, PAYS[:12]),
        (0, "OP_RETURN: L"),
        (0, "OP_RETURN: ."),
    ]
    assert paid.total_sat == paid.user_sat == 732099489
    assert seen["2.14.2"] == replace(paid, signals=("BIP-110",))


def test_addresses_are_the_main_net_s_until_the_user_s_name_tells_more(
    vectors: dict[str, Any],
) -> None:
    user = "mrq3cLd5AK7ohsu1mx8xVEkYifcMaYprkQ.a"
    job = job_of(vectors["notify_decode"][0])
    paid = {}
    for release in ("2.13.2", "2.14.2"):
        bench = started(vectors, release)
        bench.take(job, user=user)
        assert bench.mining.block is not None
        paid[release] = bench.mining.block

    assert paid["2.13.2"].outputs[0].address == PAYS
    assert paid["2.13.2"].user_sat == 0
    assert paid["2.14.2"].outputs[0].address == user[:-2]
    assert paid["2.14.2"].user_sat == 732099489


def test_without_outputs_their_sum_is_told_and_a_user_s_old_share_stays(
    vectors: dict[str, Any],
) -> None:
    first, second = (job_of(vectors["notify_decode"][n]) for n in (0, 1))
    bench, quiet = started(vectors, "2.14.2"), started(vectors, "2.14.2")

    bench.take(first, user=PAYS)
    bench.take(second, user=PAYS, is_told=False)
    quiet.take(first, user=PAYS, is_told=False)

    block, unread = bench.mining.block, quiet.mining.block
    assert block is not None
    assert (block.total_sat, block.user_sat) == (655198666, 732099489)
    assert unread is not None
    assert (unread.outputs, unread.total_sat, unread.user_sat) == ((), 732099489, 0)
    line = "I stratum_v1_task: Coinbase outputs: 0, total value: 732099489"
    assert line in quiet.lines


@each(
    ("release", "difficulty", "is_logged"),
    [("2.12.2", 1, False), ("2.13.2", 48005534313578, False), ("2.14.2", None, True)],
)
def test_a_coinbase_that_cannot_be_read_changes_less_from_2_13_on(
    release: str,
    difficulty: int | None,
    vectors: dict[str, Any],
    *,
    is_logged: bool,
) -> None:
    vector = vectors["notify_decode"][0]
    bench = started(vectors, release)
    bench.take(job_of(vector))
    known = bench.mining.block
    assert known is not None

    broken = dict(vector, coinbase_1="00" * 41 if release == "2.12.2" else "")
    broken = broken if release == "2.12.2" else dict(vector, coinbase_2="00" * 12)
    bench.take(replace(job_of(broken), nbits=0x1D00FFFF))

    assert bench.mining.block == replace(
        known, network_difficulty=difficulty or known.network_difficulty
    )
    line = "E stratum_v1_task: Failed to process mining notification"
    assert (line in bench.lines) is is_logged


def test_without_a_height_above_0_no_block_is_known(vectors: dict[str, Any]) -> None:
    vector = dict(vectors["notify_decode"][0])
    vector["coinbase_1"] = vector["coinbase_1"].replace("03e60e0c", "03000000")
    bench = started(vectors, "2.15.0")

    bench.take(job_of(vector))

    assert bench.mining.block is None


def test_from_2_13_on_a_job_is_made_when_it_is_sent(vectors: dict[str, Any]) -> None:
    old, new = started(vectors, "2.12.2"), started(vectors, "2.13.2")
    first, second = (job_of(vectors["notify_decode"][n]) for n in (0, 1))
    for bench in (old, new):
        bench.take(first)
        bench.run(2)
        bench.take(replace(second, ntime=2), now=0.7)
        assert bench.mining.next_wake == 1.0
        bench.run(2)

    assert [work.ntime for work in old.sent] == [1, 1, 1, 1]
    assert [work.ntime for work in new.sent] == [1, 1, 2, 2]
    roots = [work.merkle_root for work in new.sent]
    assert roots[:2] == [work.merkle_root for work in old.sent[:2]]
    assert len(set(roots)) == 4

    new.take(replace(first, ntime=3, is_clean=True), now=2.1)
    assert new.mining.next_wake == 2.1
    new.run(1)
    assert new.sent[-1].merkle_root == roots[0], "extranonces begin anew"
    assert "I create_jobs_task: ASIC Job Interval: 500 ms" in new.lines
    assert new.mining.has_cleaned is False
    new.mining.clean(2.2)
    new.run(1)
    assert new.mining.next_wake == NEVER


def test_the_counter_of_extranonces_can_begin_anew(vectors: dict[str, Any]) -> None:
    bench = started(vectors, "2.15.0")
    bench.take(job_of(vectors["notify_decode"][0]))
    bench.run(2)
    bench.mining.restart_counter()
    bench.run(1)

    roots = [work.merkle_root for work in bench.sent]
    assert roots[0] == roots[2] != roots[1]


@pytest.mark.parametrize(("release", "is_block"), [("2.12.2", False), ("2.13.2", True)])
def test_from_2_13_on_a_nonce_as_good_as_the_network_asks_makes_a_block(
    release: str, vectors: dict[str, Any], *, is_block: bool
) -> None:
    bench = Bench(vectors, release=release)
    bench.mining.start(0.0)
    exact = vectors["nonce_difficulty"][1]["difficulty"]
    bench.take(bench.notify, network=exact)
    bench.run(1)

    checked = bench.mining.check(bench.nonce)
    assert checked is not None
    assert checked.is_block is is_block
    for count in (1, 2):
        bench.mining.count(checked)
        assert bench.mining.blocks_found == (count if is_block else 0)
    assert bench.mining.shows_block is is_block
    bench.mining.dismiss_block()
    assert bench.mining.shows_block is False
    assert bench.mining.blocks_found == (2 if is_block else 0)


def test_extranonces_of_stratum_v2_count_from_the_other_end(
    vectors: dict[str, Any],
) -> None:
    old, new = started(vectors, "2.15.0"), started(vectors, "2.15.0")
    job = job_of(vectors["notify_decode"][0])
    old.take(job)
    new.take(replace(job, is_v2=True))
    for bench in (old, new):
        bench.run(1)
        bench.mining.set_extranonce(bench.extranonce1, 1)
        bench.run(1)
        bench.mining.set_extranonce(bench.extranonce1, 4)
        bench.run(1)

    roots = [[work.merkle_root for work in bench.sent] for bench in (old, new)]
    assert roots[0][:2] == roots[1][:2]
    assert roots[0][2] != roots[1][2]
    found = NonceFound(
        job_id=24 * 3, nonce=0, version_bits=0, asic_number=0, core=0, small_core=0
    )
    shares = [bench.mining.check(found) for bench in (old, new)]
    assert [one and one.share.extranonce2.hex() for one in shares] == [
        "02000000",
        "00000002",
    ]
    assert "I create_jobs_task: New Work Dequeued SV2 ext job 1" in new.lines


def test_a_job_with_its_merkle_root_is_sent_once(vectors: dict[str, Any]) -> None:
    bench = started(vectors, "2.15.0")
    job = replace(
        job_of(vectors["notify_decode"][0], is_clean=True),
        job_id="7",
        coinbase1=b"",
        coinbase2=b"",
        merkle_branch=(),
        merkle_root=b"\x05" * 32,
        is_v2=True,
    )
    bench.mining.set_extranonce(b"\x01" * 12, 0)

    bench.take(job)
    bench.run(2)

    assert [work.merkle_root for work in bench.sent] == [b"\x05" * 32]
    assert bench.mining.next_wake == NEVER
    assert bench.mining.block is None
    assert "I create_jobs_task: New Work Dequeued SV2 job 7" in bench.lines

    found = NonceFound(
        job_id=24, nonce=0, version_bits=0, asic_number=0, core=0, small_core=0
    )
    assert bench.mining.check(found) is not None
    bench.take(replace(job, job_id="8", merkle_root=b"\x06" * 32), now=3.0)
    assert bench.mining.check(found) is None
    assert bench.mining.next_wake == 3.0
    bench.run(1)
    assert bench.sent[-1].merkle_root == b"\x06" * 32


def test_the_marker_of_a_segwit_coinbase_is_passed_over(
    vectors: dict[str, Any],
) -> None:
    plain, marked = started(vectors, "2.15.0"), started(vectors, "2.15.0")
    job = replace(job_of(vectors["notify_decode"][0]), is_v2=True)
    first = job.coinbase1

    plain.take(job)
    marked.take(replace(job, coinbase1=first[:4] + b"\x00\x01" + first[4:]))

    assert plain.mining.block is not None
    assert marked.mining.block == plain.mining.block
