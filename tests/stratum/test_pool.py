import json
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.each import each

from softaxe.bitcoin import kernel
from softaxe.bitcoin.header import difficulty_of, nbits_difficulty, sha256d, target_for
from softaxe.errors import SettingError
from softaxe.stratum.dialects import SOFTAXE
from softaxe.stratum.messages import MAX_LINE_BYTES
from softaxe.stratum.pool import (
    MAX_JOBS,
    MAX_UNSENT_BYTES,
    MAX_WORKERS_PER_CONNECTION,
    NO_POOL_FAULTS,
    SCALED_START_DIFFICULTY,
    TELL_SPACING_S,
    Pool,
    PoolConnection,
    PoolFaults,
    difficulty_text,
)
from softaxe.stratum.pool_job import VerifiedShare
from softaxe.stratum.vardiff import LOWEST_DIFFICULTY
from softaxe.units import Level

VECTORS = json.loads(
    (Path(__file__).parent.parent / "data" / "stratum-vectors.json").read_text()
)
START_TIME = 1_768_000_000
USER = "bc1qnp980s5fpp8l94p5cvttmtdqy8rvrq74qly2yrfmzkdsntqzlc5qkc4rkq.bitaxe"
EASY = 2.0**-26
"""Difficulty of a share in 64 hashes."""


def make_pool(
    *,
    seed: int = 1,
    start_difficulty: float = EASY,
    network_difficulty: float = 34_103.0,
    block_interval_s: float = 1e9,
    target_share_interval_s: float = 5.0,
) -> Pool:
    return Pool(
        seed=seed,
        start_difficulty=start_difficulty,
        network_difficulty=network_difficulty,
        block_interval_s=block_interval_s,
        start_time=START_TIME,
        target_share_interval_s=target_share_interval_s,
    )


def dsha(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


@dataclass(frozen=True)
class MinersJob:
    """A notify, with what held when it came."""

    params: list[object]
    difficulty: float
    extranonce1: str

    @property
    def id(self) -> str:
        return str(self.params[0])

    @property
    def is_clean(self) -> bool:
        return self.params[-1] is True


class Miner:
    """Written from the protocol alone; shares no code with the pool."""

    def __init__(self, pool: Pool, *, now: float = 0.0, user: str = USER) -> None:
        self.pool = pool
        self.user = user
        self.connection: PoolConnection = pool.connect(now, "miner")
        self.jobs: list[MinersJob] = []
        self.methods: list[str] = []
        self.lines: list[str] = []
        """All that came, as it came."""
        self.difficulty = 0.0
        self.extranonce2_size = 8
        self.extranonce1 = ""
        self._id = 0
        self._replies: dict[int, dict[str, object]] = {}
        self._next_extranonce2 = 0

    def call(self, method: str, *params: object, now: float = 0.0) -> dict[str, object]:
        self._id += 1
        line = json.dumps({"id": self._id, "method": method, "params": params})
        self.connection.receive(line.encode() + b"\n", now)
        self.read()
        return self._replies[self._id]

    def error(self, method: str, *params: object, now: float = 0.0) -> object:
        reply = self.call(method, *params, now=now)
        assert reply["result"] is None
        return reply["error"]

    def read(self) -> None:
        for line in self.connection.data_to_send().splitlines():
            message = json.loads(line)
            self.lines.append(line.decode())
            if "method" not in message:
                self._replies[message["id"]] = message
                if isinstance(message["result"], list):  # of mining.subscribe
                    self.extranonce1, self.extranonce2_size = message["result"][1:]
                continue
            assert message["id"] is None
            method, params = message["method"], message["params"]
            self.methods.append(method)
            if method == "mining.set_difficulty":
                [self.difficulty] = params
            elif method == "mining.set_extranonce":
                self.extranonce1 = params[0]
            elif method == "mining.notify":
                self.jobs.append(MinersJob(params, self.difficulty, self.extranonce1))

    def begin(self, now: float = 0.0, *, mask: str = "ffffffff") -> None:
        configure = {"version-rolling.mask": mask}
        self.call("mining.configure", ["version-rolling"], configure, now=now)
        self.call("mining.subscribe", "bitaxe/BM1370/v2.12.2", now=now)
        self.call("mining.authorize", self.user, "x", now=now)

    def mine(
        self,
        job: MinersJob | None = None,
        *,
        version_bits: int = 0,
        rolled: int | None = None,
    ) -> list[object]:
        """Search until a share is found; return the parameters of its submit.

        Args:
            job: The latest when left out.
            version_bits: As submitted.
            rolled: The header's version, if not the job's with these bits changed.
        """
        job = job or self.jobs[-1]
        job_id, prevhash, coinbase1, coinbase2, branch, version, nbits, ntime, _ = (
            job.params
        )
        if rolled is None:
            rolled = int(str(version), 16) ^ version_bits
        assert isinstance(branch, list)
        for extranonce2 in self._extranonces2():
            root = dsha(
                bytes.fromhex(f"{coinbase1}{job.extranonce1}{extranonce2}{coinbase2}")
            )
            for sibling in branch:
                root = dsha(root + bytes.fromhex(sibling))
            words = bytes.fromhex(str(prevhash))
            header = (
                pack("<I", rolled)
                + b"".join(words[i : i + 4][::-1] for i in range(0, 32, 4))
                + root
                + pack("<I", int(str(ntime), 16))
                + pack("<I", int(str(nbits), 16))
                + bytes(4)
            )
            if found := kernel.search(header, 0, 4096, target_for(job.difficulty)):
                nonce = pack(">I", found[0])[::-1].hex()
                bits = f"{version_bits:08x}"
                return [self.user, job_id, extranonce2, ntime, nonce, bits]
        raise AssertionError

    def submit(self, params: list[object], *, now: float = 0.0) -> object:
        """Return True, or the error."""
        reply = self.call("mining.submit", *params, now=now)
        return reply["error"] or reply["result"]

    def _extranonces2(self) -> Iterator[str]:
        while True:
            self._next_extranonce2 += 1
            yield pack("<Q", self._next_extranonce2)[: self.extranonce2_size].hex()


def make_miner(pool: Pool | None = None, *, now: float = 0.0) -> Miner:
    miner = Miner(pool or make_pool(), now=now)
    miner.begin(now)
    return miner


# Setting up


def test_the_firmwares_own_lines_bring_difficulty_and_a_job() -> None:
    pool = Pool.for_scaled_work(start_time=START_TIME)
    miner = Miner(pool)
    lines = [line.encode() + b"\n" for line in VECTORS["tx_lines_v2_12_2"]]

    for line in lines[:3]:
        miner.connection.receive(line, 0.0)
    replies = miner.connection.data_to_send().splitlines()

    assert [json.loads(line)["id"] for line in replies] == [1, 2, 3, None, None]
    assert json.loads(replies[0])["result"] == {
        "version-rolling": True,
        "version-rolling.mask": "1fffe000",
    }
    subscriptions, extranonce1, extranonce2_size = json.loads(replies[1])["result"]
    assert ["mining.notify", "1"] in subscriptions
    assert len(extranonce1) == 8
    assert extranonce2_size == 8
    assert json.loads(replies[2])["result"] is True
    assert json.loads(replies[3]) == {
        "id": None,
        "method": "mining.set_difficulty",
        "params": [SCALED_START_DIFFICULTY],
    }
    assert json.loads(replies[4])["method"] == "mining.notify"
    assert json.loads(replies[4])["params"][-1] is True

    for line in lines[3:]:
        miner.connection.receive(line, 0.0)
    replies = miner.connection.data_to_send().splitlines()

    answers = [json.loads(line) for line in replies]
    answers = [answer for answer in answers if answer["id"] is not None]
    assert [answer["id"] for answer in answers] == [4, 5, 6]
    assert [answer["result"] for answer in answers] == [True, True, None]
    assert answers[2]["error"] == [21, "Job not found", None]


def test_the_newest_firmwares_lines_are_understood_too() -> None:
    miner = Miner(make_pool())
    lines = [line for line in VECTORS["tx_lines_newest"] if '"method"' in line]

    miner.connection.receive("\n".join([*lines, ""]).encode(), 0.0)

    for line in miner.connection.data_to_send().splitlines():
        assert "Malformed" not in line.decode()


def test_the_subscribe_reply_passes_the_heartbeats_look() -> None:
    connection = make_pool().connect(0.0)

    connection.receive(b'{"id": 1, "method": "mining.subscribe", "params": []}\n', 0.0)

    assert b"mining.notify" in connection.data_to_send()[:1023]


def test_no_job_is_sent_before_subscribe_and_authorize() -> None:
    miner = Miner(make_pool())

    miner.call("mining.authorize", USER, "x")
    miner.pool.step(60.0)
    miner.read()
    assert miner.methods == []

    miner.call("mining.subscribe", "x", now=60.0)
    assert miner.methods == ["mining.set_difficulty", "mining.notify"]

    miner.call("mining.authorize", USER, "x", now=60.0)
    miner.call("mining.subscribe", "x", now=60.0)
    assert miner.methods == ["mining.set_difficulty", "mining.notify"]


def test_every_connection_searches_its_own_space() -> None:
    pool = make_pool()

    extranonces = {make_miner(pool).extranonce1 for _ in range(20)}

    assert len(extranonces) == 20


def test_only_extensions_we_know_are_granted() -> None:
    miner = Miner(make_pool())

    reply = miner.call(
        "mining.configure",
        ["minimum-difficulty", "subscribe-extranonce", "version-rolling"],
        {"version-rolling.mask": "0000ffff"},
    )

    assert reply["result"] == {
        "minimum-difficulty": False,
        "subscribe-extranonce": True,
        "version-rolling": True,
        "version-rolling.mask": "0000e000",
    }


def test_a_mask_without_common_bits_grants_no_rolling() -> None:
    miner = Miner(make_pool())

    reply = miner.call(
        "mining.configure", ["version-rolling"], {"version-rolling.mask": "00000fff"}
    )

    assert reply["result"] == {
        "version-rolling": False,
        "version-rolling.mask": "00000000",
    }


@each(
    "params",
    [
        [],
        ["version-rolling"],
        [["version-rolling"], []],
        [["version-rolling"], {"version-rolling.mask": 1}],
        [["version-rolling"], {"version-rolling.mask": "mask"}],
        [[1]],
    ],
)
def test_a_malformed_configure_is_an_error(params: list[object]) -> None:
    miner = Miner(make_pool())

    error = miner.error("mining.configure", *params)

    assert error == [20, "Malformed request", None]


@each("name", ["", "x" * 129, "two\nlines", "\x1b[0m"])
def test_a_bad_worker_name_is_not_authorized(name: str) -> None:
    miner = Miner(make_pool())

    assert miner.error("mining.authorize", name, "x") == [24, "Bad worker name", None]
    assert miner.pool.workers == {}


def test_a_connection_may_bring_only_so_many_workers() -> None:
    miner = make_miner()
    for number in range(MAX_WORKERS_PER_CONNECTION - 1):
        assert miner.call("mining.authorize", f"w{number}", "x")["result"] is True

    error = miner.error("mining.authorize", "one more", "x")

    assert error == [24, "Too many workers", None]


def test_workers_longest_gone_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softaxe.stratum.pool.MAX_WORKERS", 3)
    pool = make_pool()
    miners = [Miner(pool) for _ in range(5)]
    for number, miner in enumerate(miners[:3]):
        assert miner.call("mining.authorize", f"w{number}", "x")["result"] is True
    refused = [24, "Too many workers", None]
    assert miners[3].error("mining.authorize", "w3", "x") == refused

    miners[1].connection.closed(1.0)
    miners[0].connection.closed(2.0)
    assert list(pool.workers) == ["w0", "w1", "w2"]
    assert miners[3].call("mining.authorize", "w3", "x")["result"] is True
    assert miners[4].call("mining.authorize", "w0", "x")["result"] is True

    assert list(pool.workers) == ["w0", "w2", "w3"]
    assert miners[4].error("mining.authorize", "w4", "x") == refused


def test_a_worker_stays_while_one_of_its_connections_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("softaxe.stratum.pool.MAX_WORKERS", 2)
    pool = make_pool()
    one, other, third, last = (Miner(pool) for _ in range(4))
    for miner in (one, other):
        assert miner.call("mining.authorize", "w", "x")["result"] is True
    assert third.error("mining.authorize", "v", "x") is not None

    one.connection.closed(1.0)
    one.connection.closed(1.0)
    assert third.call("mining.authorize", "v", "x")["result"] is True
    assert last.error("mining.authorize", "u", "x") is not None
    third.connection.closed(2.0)

    assert last.call("mining.authorize", "u", "x")["result"] is True
    assert list(pool.workers) == ["w", "u"]


@pytest.mark.unwatched
def test_a_miner_with_a_new_name_all_the_time_does_not_fill_the_log() -> None:
    lines: list[str] = []
    pool = Pool.for_scaled_work(log=lambda level, tag, text: lines.append(text))
    for number in range(10_000):
        connection = pool.connect(number / 1000, f"m{number}")
        line = f'{{"id":1,"method":"mining.authorize","params":["w{number}","x"]}}\n'
        connection.receive(line.encode(), number / 1000)
        connection.closed(number / 1000)
    told = len(lines)
    pool.new_block(30.0)

    assert told <= 2200
    assert lines[told].endswith("more lines in 10 s")
    assert int(lines[told].split()[0]) == 10_000 - told


def test_ping_is_answered_and_pong_is_not() -> None:
    miner = make_miner()

    assert miner.call("mining.ping")["result"] == "pong"
    miner.connection.receive(b'{"id":7,"method":"pong","params":[]}\n', 0.0)
    miner.connection.receive(b'{"id":8,"result":"v2.12.2","error":null}\n', 0.0)
    assert miner.connection.data_to_send() == b""


def test_an_unknown_method_is_an_error() -> None:
    assert make_miner().error("mining.fly") == [20, "Unknown method", None]


def test_ids_are_echoed_as_they_came() -> None:
    connection = make_pool().connect(0.0)

    for id_ in ('"a\\"b"', "null", "123456789012345678901234567890"):
        line = f'{{"id":{id_},"method":"mining.ping"}}\n'
        connection.receive(line.encode(), 0.0)

    answers = connection.data_to_send().splitlines()
    assert [json.loads(line)["id"] for line in answers] == [
        'a"b',
        None,
        123456789012345678901234567890,
    ]


def test_settings_must_be_positive() -> None:
    with pytest.raises(SettingError, match="start_difficulty: 0 is not"):
        make_pool(start_difficulty=0)
    with pytest.raises(SettingError, match="network_difficulty: inf is not"):
        make_pool(network_difficulty=float("inf"))


# Shares


def test_a_mined_share_is_accepted_and_counted() -> None:
    miner = make_miner()
    share = miner.mine()

    assert miner.submit(share) is True

    worker = miner.pool.workers[USER]
    assert worker.accepted == miner.pool.totals.accepted == 1
    assert worker.accepted_difficulty == EASY
    assert worker.best_difficulty >= EASY
    assert worker.rejected == {}


@each("version_bits", [0x2000, 0x10000000, 0x1FFFE000])
def test_a_share_with_rolled_version_is_accepted(version_bits: int) -> None:
    miner = make_miner()

    assert miner.submit(miner.mine(version_bits=version_bits)) is True


def test_a_share_without_version_bits_is_one_that_rolled_nothing() -> None:
    miner = make_miner()

    assert miner.submit(miner.mine()[:5]) is True


def test_rolling_what_was_not_negotiated_is_refused() -> None:
    miner = Miner(make_pool())
    miner.begin(mask="0000ffff")

    refused = miner.submit(miner.mine(version_bits=0x10000))

    assert refused == [20, "Version bits outside the mask", None]
    assert miner.submit(miner.mine(version_bits=0x2000)) is True


def test_a_share_altered_by_one_bit_is_refused() -> None:
    miner = make_miner(make_pool(start_difficulty=2.0**-20))
    share = miner.mine()
    nonce = int(str(share[4]), 16)

    for bit in range(32):
        altered = [*share[:4], f"{nonce ^ 1 << bit:08x}", share[5]]
        assert miner.submit(altered) == [23, "Low difficulty share", None]

    assert miner.submit(share) is True
    assert miner.pool.workers[USER].rejected == {"Low difficulty share": 32}


def test_a_share_twice_is_a_duplicate() -> None:
    miner = make_miner()
    share = miner.mine()
    miner.submit(share)

    assert miner.submit(share) == [22, "Duplicate share", None]
    assert miner.pool.totals.rejected == {"Duplicate share": 1}


def test_a_share_of_the_last_block_is_stale() -> None:
    miner = make_miner(make_pool(block_interval_s=600.0))
    share = miner.mine()
    height = miner.pool.height

    miner.pool.step(miner.pool.chain.next_wake)
    while miner.pool.height == height:
        miner.pool.step(miner.pool.next_wake)
    now = miner.pool.next_wake - 0.001
    miner.read()

    assert miner.jobs[-1].is_clean
    assert miner.submit(share, now=now) == [21, "Job not found", None]
    assert miner.submit(miner.mine(), now=now) is True


def test_a_block_of_others_can_come_on_request() -> None:
    miner = make_miner()
    height, share = miner.pool.height, miner.mine()

    miner.pool.new_block(1.0)
    miner.read()

    assert miner.pool.height == height + 1
    assert miner.jobs[-1].is_clean
    assert miner.submit(share, now=1.0) == [21, "Job not found", None]


def test_a_share_of_an_older_job_of_the_same_block_is_accepted() -> None:
    miner = make_miner()
    share = miner.mine()

    miner.pool.step(95.0)
    miner.read()

    assert [job.is_clean for job in miner.jobs[-3:]] == [False] * 3
    assert miner.submit(share, now=95.0) is True


def test_only_the_latest_jobs_are_kept() -> None:
    miner = make_miner()
    first = miner.mine()

    now = 30.0 * (MAX_JOBS + 1)
    miner.pool.step(now)

    assert miner.submit(first, now=now) == [21, "Job not found", None]


def test_who_has_not_introduced_himself_cannot_submit() -> None:
    miner = Miner(make_pool())
    share = [USER, "1", "00" * 8, "00000000", "00000000", "00000000"]

    assert miner.error("mining.submit", *share) == [25, "Not subscribed", None]
    miner.call("mining.subscribe", "x")
    assert miner.error("mining.submit", *share) == [24, "Unauthorized worker", None]
    miner.call("mining.authorize", USER, "x")
    share[0] = "someone.else"
    assert miner.error("mining.submit", *share) == [24, "Unauthorized worker", None]

    assert miner.pool.totals.rejected == {"Not subscribed": 1, "Unauthorized worker": 2}
    assert miner.pool.workers[USER].rejected == {}


@each("change", [{3: 0}, {4: None}, {2: "zz"}, {1: ["1"]}, {5: 0}, {0: 5}])
def test_a_malformed_share_is_refused(change: dict[int, object]) -> None:
    miner = make_miner()
    share = miner.mine()
    for index, value in change.items():
        share[index] = value

    error = miner.error("mining.submit", *share)

    assert isinstance(error, list)
    assert error[0] == 20
    assert miner.error("mining.submit") == [20, "Malformed request", None]


def test_a_share_dated_far_ahead_is_refused() -> None:
    miner = make_miner()
    share = miner.mine()
    share[3] = f"{START_TIME + 7201:08x}"

    assert miner.submit(share) == [20, "ntime out of range", None]
    assert miner.submit(share, now=1.0) == [23, "Low difficulty share", None]


def test_statistics_belong_to_the_name_and_outlive_the_connection() -> None:
    pool = make_pool()
    first, second = make_miner(pool), make_miner(pool)
    first.submit(first.mine())
    first.connection.closed(1.0)
    second.submit(second.mine(), now=1.0)

    assert pool.workers[USER].accepted == 2
    assert pool.connections == (second.connection,)


# Difficulty


def test_a_suggested_difficulty_holds_from_the_next_job_on() -> None:
    miner = make_miner()
    old_share = miner.mine()

    miner.call("mining.suggest_difficulty", 2.3283064365386963e-07)

    assert miner.methods[-2:] == ["mining.set_difficulty", "mining.notify"]
    assert miner.difficulty == 2.3283064365386963e-07
    assert not miner.jobs[-1].is_clean
    assert miner.jobs[-1].id != miner.jobs[-2].id
    assert miner.submit(old_share) is True
    assert miner.submit(miner.mine()) is True
    asked = miner.pool.workers[USER].accepted_difficulty
    assert asked == EASY + 2.3283064365386963e-07


def test_an_easy_share_of_a_harder_job_is_refused() -> None:
    miner = make_miner()
    miner.call("mining.suggest_difficulty", 2.0**-14)
    job = miner.jobs[-1]

    easy = MinersJob(job.params, EASY, job.extranonce1)

    assert miner.submit(miner.mine(easy)) == [23, "Low difficulty share", None]


def test_suggesting_what_already_holds_changes_nothing() -> None:
    miner = make_miner()

    assert miner.call("mining.suggest_difficulty", EASY)["result"] is True

    assert len(miner.jobs) == 1


def test_a_suggestion_before_the_first_job_is_kept() -> None:
    miner = Miner(make_pool())
    miner.call("mining.suggest_difficulty", 1000)

    miner.begin()

    assert miner.difficulty == 1000
    assert len(miner.jobs) == 1


@each("wanted", [0, -1, True, "1000", None, []])
def test_a_difficulty_that_is_none_is_an_error(wanted: object) -> None:
    miner = make_miner()

    error = miner.error("mining.suggest_difficulty", wanted)

    assert isinstance(error, list)
    assert error[0] == 20
    assert miner.connection.difficulty == EASY


def test_more_than_the_networks_difficulty_is_never_asked() -> None:
    miner = make_miner(make_pool(network_difficulty=1.0))

    miner.call("mining.suggest_difficulty", 10**40)

    assert miner.difficulty == miner.pool.chain.network_difficulty == 1.0


@given(st.floats(min_value=2.0**-32, max_value=1e300))
def test_a_reader_gets_exactly_the_same_difficulty_back(difficulty: float) -> None:
    assert float(json.loads(difficulty_text(difficulty))) == difficulty


def test_whole_difficulties_are_printed_as_integers() -> None:
    assert difficulty_text(1000.0) == "1000"
    assert difficulty_text(1000 / 2**32) == "2.3283064365386963e-07"


def test_a_flood_of_shares_raises_the_difficulty() -> None:
    miner = make_miner(make_pool(start_difficulty=2.0**-31))

    for number in range(120):
        assert miner.submit(miner.mine(), now=number * 0.1) is True

    assert miner.difficulty >= 2.0**-31 * 32
    assert len(miner.jobs) == 2
    assert miner.submit(miner.mine(), now=13.0) is True


@pytest.mark.unwatched
@pytest.mark.parametrize(
    ("make", "floor"),
    [
        (lambda: Pool.for_scaled_work(seed=1), 256 / 2**32),
        (lambda: make_pool(start_difficulty=0.001), 1e-5),
        (lambda: make_pool(start_difficulty=EASY), EASY),
    ],
)
def test_long_silence_does_not_make_every_hash_a_share(
    make: Callable[[], Pool], floor: float
) -> None:
    # Where an hour takes a minute, others seem silent before they can say anything.
    miner = make_miner(make())

    miner.pool.step(3600.0)

    assert miner.connection.difficulty == floor


def test_silence_lowers_the_difficulty() -> None:
    miner = make_miner(make_pool(start_difficulty=1000.0))

    miner.pool.step(40.0)
    miner.read()

    assert miner.difficulty == 1000.0 / 256
    assert miner.methods[-2:] == ["mining.set_difficulty", "mining.notify"]


# Blocks


def test_a_block_on_order_is_never_harder_than_the_network_asks() -> None:
    pool = make_pool(network_difficulty=EASY)
    miner = make_miner(pool)

    bits = []
    for difficulty in (pool.chain.network_difficulty * 3, EASY / 8):
        wanted = PoolFaults(difficulty=difficulty, is_block_next=True)
        miner.connection.set_faults(wanted, 0.0)
        miner.read()
        bits.append(miner.jobs[-1].params[6])

    assert bits[0] == f"{pool.chain.nbits:08x}"
    assert nbits_difficulty(int(str(bits[1]), 16)) < EASY / 8


def test_a_share_that_meets_the_network_target_is_a_block() -> None:
    pool = make_pool(network_difficulty=EASY)
    finder, other = make_miner(pool), make_miner(pool)
    height, share = pool.height, finder.mine()
    stale = other.mine()

    assert finder.submit(share) is True
    pool.step(1.0)
    finder.read()
    other.read()

    assert pool.blocks_found == pool.workers[USER].blocks_found == 1
    assert pool.height == height + 1
    header = pool.chain.headers[-1]
    assert difficulty_of(sha256d(header)) >= pool.chain.network_difficulty
    for miner in (finder, other):
        job = miner.jobs[-1]
        assert job.is_clean
        words = bytes.fromhex(str(job.params[1]))
        prevhash = b"".join(words[i : i + 4][::-1] for i in range(0, 32, 4))
        assert prevhash == sha256d(header)
    assert other.submit(stale) == [21, "Job not found", None]


def test_miners_are_told_of_a_new_job_one_after_the_other() -> None:
    pool = make_pool()
    miners = [make_miner(pool) for _ in range(5)]
    connections = [miner.connection for miner in miners]
    last, share = miners[-1], miners[-1].mine()
    pool.take_unsent()

    pool.new_block(10.0)
    told_at_once = pool.take_unsent()
    pool.step(10.0 + 3.5 * TELL_SPACING_S)
    told_next = pool.take_unsent()
    answer = last.submit(share, now=10.0 + 3.5 * TELL_SPACING_S)
    pool.step(11.0)

    assert told_at_once == connections[:1]
    assert told_next == connections[1:4]
    assert answer is not True  # its block is over, whether it knows or not
    assert pool.take_unsent() == connections[4:]


def test_the_difficulty_is_told_before_the_job_it_holds_for() -> None:
    miner = make_miner(
        make_pool(start_difficulty=2.0**-31, network_difficulty=2.0**-30)
    )

    for number in range(125):
        share = miner.mine()
        assert miner.submit(share, now=number * 0.01) is True

    assert miner.difficulty == miner.connection.difficulty == 2.0**-30


def test_a_miner_begins_with_no_more_than_makes_a_block() -> None:
    pool = make_pool(start_difficulty=1.0, network_difficulty=2.0**-30)

    assert pool.start_difficulty == make_miner(pool).difficulty == 2.0**-30


def test_a_new_job_comes_every_thirty_seconds_and_the_clock_runs() -> None:
    miner = make_miner(make_pool(start_difficulty=LOWEST_DIFFICULTY))

    miner.pool.step(61.0)
    miner.read()

    times = [int(str(job.params[7]), 16) for job in miner.jobs]
    assert times == [START_TIME, START_TIME + 30, START_TIME + 60]
    assert [job.id for job in miner.jobs] == ["1", "2", "3"]


@each("slice_s", [0.3, 5.0, 47.0])
def test_slices_of_time_change_nothing(slice_s: float) -> None:
    whole = make_miner(make_pool(block_interval_s=100.0))
    sliced = make_miner(make_pool(block_interval_s=100.0))

    whole.pool.step(600.0)
    for number in range(1, int(600 / slice_s) + 1):
        sliced.pool.step(number * slice_s)
    sliced.pool.step(600.0)

    assert sliced.connection.data_to_send() == whole.connection.data_to_send()


def test_input_brings_the_pool_up_to_its_time() -> None:
    miner = make_miner(make_pool(start_difficulty=LOWEST_DIFFICULTY))

    miner.call("mining.ping", now=30.0)

    assert len(miner.jobs) == 2
    assert miner.pool.next_wake > 30.0


# Bad peers


def test_lines_may_come_in_any_slices() -> None:
    whole, sliced = Miner(make_pool()), Miner(make_pool())
    data = "".join(line + "\n" for line in VECTORS["tx_lines_v2_12_2"]).encode()

    whole.connection.receive(data, 0.0)
    for index in range(len(data)):
        sliced.connection.receive(data[index : index + 1], 0.0)

    assert sliced.connection.data_to_send() == whole.connection.data_to_send()


@each(
    "line",
    [
        b"hello",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"id":{},"method":"mining.ping"}',
        b'{"id":1,"method":5}',
        b'{"id":1,"method":"mining.ping","params":{}}',
        b'{"params":' + b"[" * 10_000,
        b'{"id":1,"method":"\\ud800"}',
        b" " * (MAX_LINE_BYTES + 1),
    ],
)
def test_a_malformed_line_gets_an_error_and_does_no_harm(line: bytes) -> None:
    miner = make_miner()

    miner.connection.receive(line + b"\n", 0.0)

    [answer] = miner.connection.data_to_send().splitlines()
    assert json.loads(answer)["error"] == [20, "Malformed request", None]
    assert miner.call("mining.ping")["result"] == "pong"


def test_who_sends_only_rubbish_is_dropped() -> None:
    connection = make_pool().connect(0.0)

    connection.receive(b"rubbish\n" * SOFTAXE.most_malformed, 0.0)
    assert not connection.wants_close
    connection.receive(b"rubbish\nrubbish\n", 0.0)

    assert connection.wants_close
    assert connection.data_to_send() == b""


def test_who_does_not_read_is_dropped() -> None:
    connection = make_pool().connect(0.0)
    ping = b'{"id":1,"method":"mining.ping"}\n'

    for _ in range(MAX_UNSENT_BYTES // 40):
        connection.receive(ping, 0.0)

    assert connection.wants_close
    assert connection.data_to_send() == b""


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_raise(slices: list[bytes]) -> None:
    connection = make_pool().connect(0.0)

    for data in slices:
        connection.receive(data, 0.0)

    connection.data_to_send()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=7)
        | st.dictionaries(
            st.sampled_from(["version-rolling.mask", "a"]), inner, max_size=2
        )
    ),
    max_leaves=8,
)
METHODS = (
    "configure subscribe authorize extranonce.subscribe suggest_difficulty ping submit"
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([f"mining.{name}" for name in METHODS.split()]) | JSON,
            st.lists(st.sampled_from([USER, "1", "00" * 8, "696091f0"]) | JSON) | JSON,
            JSON,
        ),
        max_size=12,
    )
)
@settings(max_examples=50)
def test_no_request_raises(requests: list[tuple[object, object, object]]) -> None:
    miner = make_miner(make_pool())

    for number, (method, params, id_) in enumerate(requests):
        line = json.dumps({"id": id_, "method": method, "params": params}) + "\n"
        miner.connection.receive(line.encode(), number * 7.0)

    for answer in miner.connection.data_to_send().splitlines():
        json.loads(answer)


@pytest.mark.unwatched
def test_random_bit_errors_never_raise() -> None:
    rng = random.Random(1)
    lines = [line.encode() + b"\n" for line in VECTORS["tx_lines_v2_12_2"]]

    for _ in range(500):
        connection = make_pool().connect(0.0)
        for line in lines:
            damaged = bytearray(line)
            damaged[rng.randrange(len(line))] ^= 1 << rng.randrange(8)
            connection.receive(bytes(damaged), 0.0)
        for answer in connection.data_to_send().splitlines():
            json.loads(answer)


# Misbehaviour on request


def test_a_silent_pool_neither_hears_nor_speaks() -> None:
    miner = make_miner(make_pool(start_difficulty=1000.0))

    miner.connection.set_silent(is_so=True)
    miner.connection.receive(b'{"id":1,"method":"mining.ping"}\n', 1.0)
    miner.pool.step(100.0)
    assert miner.connection.data_to_send() == b""

    miner.connection.set_silent(is_so=False)
    assert miner.call("mining.ping", now=101.0)["result"] == "pong"
    miner.pool.step(119.0)
    assert miner.connection.difficulty == 1000.0


def test_shares_can_be_refused_on_request() -> None:
    miner = make_miner()
    share = miner.mine()

    bad_mood = PoolFaults(refusal="Pool is in a bad mood")
    miner.connection.set_faults(bad_mood, 0.0)
    assert miner.submit(share) == [20, "Pool is in a bad mood", None]
    assert miner.pool.workers[USER].rejected == {"Pool is in a bad mood": 1}

    miner.connection.set_faults(NO_POOL_FAULTS, 0.0)
    assert miner.submit(share) is True


def test_connections_can_be_dropped_on_request() -> None:
    pool = make_pool()
    miners = [make_miner(pool), make_miner(pool)]

    pool.drop_connections()
    pool.step(30.0)

    for miner in miners:
        assert miner.connection.wants_close
        miner.connection.receive(b'{"id":1,"method":"mining.ping"}\n', 30.0)
        assert miner.connection.data_to_send() == b""
        miner.connection.closed(31.0)
        assert miner.connection.is_closed
    assert pool.connections == ()


def test_a_miner_can_be_asked_to_reconnect() -> None:
    miner = make_miner()

    miner.connection.request_reconnect()
    miner.read()

    assert miner.methods[-1] == "client.reconnect"
    assert not miner.connection.wants_close


def test_a_miner_can_be_sent_to_another_place() -> None:
    miner = make_miner()

    miner.connection.request_reconnect("pool.example", 3334)

    said = json.loads(miner.connection.data_to_send())
    assert said["params"] == ["pool.example", 3334, 0]


def test_a_difficulty_can_be_set_and_goes_on_from_there() -> None:
    miner = make_miner()

    miner.connection.set_difficulty(EASY * 2, 1.0)
    miner.read()

    assert miner.jobs[-1].difficulty == EASY * 2
    miner.pool.step(100.0)
    miner.read()
    assert miner.difficulty < EASY * 2, "as nothing was heard of it"


def test_a_block_may_be_told_late() -> None:
    miner, other = make_miner(pool := make_pool()), make_miner(pool)
    old = miner.mine()
    miner.connection.set_faults(PoolFaults(block_late_s=4.0), 0.0)

    pool.new_block(1.0)
    pool.step(3.0)
    assert miner.submit(old, now=3.0) == [21, "Job not found", None]
    other.read()
    assert [len(one.jobs) for one in (miner, other)] == [1, 2]

    pool.step(5.0)
    miner.read()
    assert miner.jobs[-1].is_clean
    assert miner.submit(miner.mine(), now=5.0) is True


def test_a_block_that_is_held_is_told_when_the_order_ends() -> None:
    miner = make_miner()
    miner.connection.set_faults(PoolFaults(block_late_s=900.0), 0.0)
    miner.pool.new_block(1.0)
    miner.pool.step(61.0)
    miner.read()
    assert len(miner.jobs) == 1, "nor of other work for that block"

    miner.connection.set_faults(NO_POOL_FAULTS, 62.0)
    miner.read()

    assert len(miner.jobs) == 2
    assert miner.jobs[-1].is_clean


def test_a_miner_that_has_gone_is_told_nothing_late() -> None:
    miner = make_miner()
    miner.connection.set_faults(PoolFaults(block_late_s=4.0), 0.0)
    miner.pool.new_block(1.0)

    miner.connection.closed(2.0)
    miner.pool.step(6.0)

    assert miner.connection.data_to_send() == b""


def test_miners_that_have_gone_are_not_kept_until_the_block_is_told() -> None:
    pool = make_pool()

    def come_and_go(miners: int) -> int:
        for _ in range(miners):
            miner = Miner(pool, user="w")
            miner.begin()
            miner.connection.set_faults(PoolFaults(block_late_s=1e6), 0.0)
            pool.new_block(0.0)
            miner.connection.closed(0.0)
        return len(pickle.dumps(pool))

    assert come_and_go(100) < 2 * come_and_go(10)


def test_a_flood_of_jobs_leaves_the_latest_ten() -> None:
    miner = make_miner()

    miner.connection.flood(50)
    miner.read()

    assert len(miner.jobs) == 51
    assert miner.submit(miner.mine()) is True


def test_a_message_may_be_cut_or_come_twice() -> None:
    miner = make_miner()

    miner.connection.truncate_message()
    assert miner.connection.data_to_send().count(b"\n") == 0
    miner.connection.replay_message()
    one, two = miner.connection.data_to_send().splitlines()
    assert one == two


def test_who_does_not_mine_is_spared_what_is_for_miners() -> None:
    connection = make_pool().connect(0.0, "idle")

    connection.flood(9)
    connection.truncate_message()
    connection.replay_message()

    assert not connection.close_channels("it has none")
    assert not connection.regroup()
    assert connection.data_to_send() == b""


def test_it_tells_who_mines_and_how_fast() -> None:
    miner = make_miner(pool := make_pool())
    miner.call("mining.subscribe", "miner/1.0")
    miner.call("mining.authorize", "second")
    rate_hs = EASY * 2**32 / 5

    for second in range(0, 1800, 5):
        miner.read()
        miner.connection.seats()[0].statistics.accept(
            VerifiedShare(b"", EASY, is_block=False), second, asked_difficulty=EASY
        )
        if second == 300:
            early_hs = miner.connection.seats()[0].statistics.hashrate_hs(300.0)

    first, second_seat = miner.connection.seats()
    assert (first.user, first.channel, miner.connection.agent) == (
        USER,
        None,
        "miner/1.0",
    )
    assert first.extranonce1.hex() == miner.extranonce1
    assert early_hs == pytest.approx(rate_hs, rel=0.05), "also in the beginning"
    assert first.statistics.hashrate_hs(1800.0) == pytest.approx(rate_hs, rel=0.02)
    assert first.statistics.hashrate_hs(3600.0) < rate_hs / 100
    assert second_seat.statistics.hashrate_hs(1800.0) == 0
    for whole in (pool.totals, pool.by_protocol["v1"], pool.workers[USER]):
        assert whole.accepted == 360
    assert pool.by_protocol["v2"].accepted == 0


def test_the_extranonce_changes_only_for_who_subscribed_to_it() -> None:
    miner = make_miner()
    before, stale = miner.extranonce1, miner.mine()

    assert not miner.connection.change_extranonce()
    miner.read()
    assert miner.extranonce1 == before
    assert len(miner.jobs) == 1

    miner.call("mining.extranonce.subscribe")
    assert miner.connection.change_extranonce()
    miner.read()
    assert miner.extranonce1 != before
    assert miner.jobs[-1].is_clean
    assert miner.submit(miner.mine()) is True
    assert miner.submit(stale) == [21, "Job not found", None]


def test_the_log_tells_who_mines_but_no_password() -> None:
    lines: list[str] = []

    def log(level: Level, tag: str, text: str) -> None:
        lines.append(f"{level} {tag}: {text}")

    pool = Pool(start_difficulty=EASY, network_difficulty=1.0, log=log)
    miner = Miner(pool)
    miner.call("mining.authorize", USER, "secret")

    assert lines == [f"I pool: miner: worker {USER}"]
