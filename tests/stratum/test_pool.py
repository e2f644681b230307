import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softaxe.bitcoin import kernel
from softaxe.bitcoin.address import script_for_address
from softaxe.bitcoin.header import (
    Work,
    coinbase_transaction,
    decode_coinbase,
    merkle_root,
    sha256d,
    target_for,
)
from softaxe.stratum.messages import Notify, parse
from softaxe.stratum.pool import Pool

USER = "bc1qnp980s5fpp8l94p5cvttmtdqy8rvrq74qly2yrfmzkdsntqzlc5qkc4rkq.rig"
EASY = 2.0**-30
"""A share about every fourth nonce."""


class Miner:
    """A miner written by hand against the protocol, not with our session."""

    def __init__(self, pool: Pool, *, now: float = 0.0, user: str = USER) -> None:
        self.connection = pool.connect(now, "test")
        self.user = user
        self.now = now
        self.messages: list[dict[str, Any]] = []
        self.extranonce1 = b""
        self.size = 0
        self._number = 0

    def say(self, method: str, params: list[Any], now: float | None = None) -> Any:
        """Send a request; return its answer."""
        self._number += 1
        self.now = self.now if now is None else now
        request = {"id": self._number, "method": f"mining.{method}", "params": params}
        self.connection.receive(json.dumps(request).encode() + b"\n", self.now)
        self.listen()
        return next(m for m in self.messages if m["id"] == self._number)

    def listen(self) -> None:
        lines = self.connection.data_to_send().splitlines()
        self.messages += [json.loads(line) for line in lines]

    def set_up(self) -> "Miner":
        self.say(
            "configure", [["version-rolling"], {"version-rolling.mask": "ffffffff"}]
        )
        result = self.say("subscribe", ["test/1"])["result"]
        self.extranonce1, self.size = bytes.fromhex(result[1]), result[2]
        self.say("authorize", [self.user, "x"])
        return self

    def notifies(self) -> list[Notify]:
        self.listen()
        lines = [m for m in self.messages if m.get("method") == "mining.notify"]
        parsed = [parse(json.dumps(line).encode()) for line in lines]
        return [notify for notify in parsed if isinstance(notify, Notify)]

    def difficulties(self) -> list[float]:
        self.listen()
        return [
            m["params"][0]
            for m in self.messages
            if m.get("method") == "mining.set_difficulty"
        ]

    def find(
        self,
        notify: Notify,
        *,
        extranonce2: bytes = bytes(8),
        version_bits: int = 0,
        meets: float | None = None,
    ) -> list[Any]:
        """Search a share; return the params of its submit."""
        coinbase = coinbase_transaction(
            notify.coinbase1, self.extranonce1, extranonce2, notify.coinbase2
        )
        root = merkle_root(sha256d(coinbase), notify.merkle_branch)
        work = Work(
            notify.version ^ version_bits,
            notify.prevhash,
            root,
            notify.ntime,
            notify.nbits,
        )
        difficulty = self.connection.difficulty if meets is None else meets
        found = kernel.search(work.header(), 0, 1 << 14, target_for(difficulty))
        nonce = int.from_bytes(found[0].to_bytes(4), "little")
        return [
            self.user,
            notify.job_id,
            extranonce2.hex(),
            f"{notify.ntime:08x}",
            f"{nonce:08x}",
            f"{version_bits:08x}",
        ]


@pytest.fixture
def pool() -> Pool:
    return Pool(start_difficulty=EASY, network_difficulty=1e6, seed=1)


def test_the_firmware_s_own_lines_are_answered(
    pool: Pool, vectors: dict[str, Any]
) -> None:
    connection = pool.connect(0.0)
    lines = vectors["tx_lines_v2_12_2"][:5]

    connection.receive("".join(f"{line}\n" for line in lines).encode(), 0.0)

    answers = [json.loads(line) for line in connection.data_to_send().splitlines()]
    results = {m["id"]: m["result"] for m in answers if m["id"] is not None}
    assert results[1]["version-rolling.mask"] == "1fffe000"
    assert results[2][0][1][0] == "mining.notify"
    assert results[3] is results[4] is results[5] is True
    methods = [m["method"] for m in answers if m["id"] is None]
    assert methods[:2] == ["mining.set_difficulty", "mining.notify"]


def test_a_job_pays_the_user_and_names_its_height(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    notify = miner.notifies()[0]

    info = decode_coinbase(notify.coinbase1, notify.coinbase2, 12)

    assert info is not None
    assert info.height == pool.chain.height
    assert info.scriptsig is not None
    assert info.scriptsig.endswith("/softaxe/")
    assert script_for_address(USER.partition(".")[0]) in notify.coinbase2


def test_a_good_share_is_accepted_and_counted(pool: Pool) -> None:
    miner = Miner(pool).set_up()

    answer = miner.say("submit", miner.find(miner.notifies()[0]))

    assert answer["result"] is True
    assert pool.workers[USER].accepted == 1
    assert pool.workers[USER].accepted_difficulty == EASY
    assert pool.workers[USER].best_difficulty >= EASY


def test_a_share_altered_by_one_bit_is_refused() -> None:
    pool = Pool(start_difficulty=2.0**-24, network_difficulty=1e6, seed=1)
    miner = Miner(pool).set_up()
    params = miner.find(miner.notifies()[0])
    for bit in range(32):
        altered = [*params]
        altered[4] = f"{int(params[4], 16) ^ 1 << bit:08x}"

        answer = miner.say("submit", altered)

        if answer["error"] is not None:
            assert answer["error"] == [23, "Low difficulty share", None]
    assert pool.workers[USER].rejected["Low difficulty share"] > 25
    assert miner.say("submit", params)["result"] is True


def test_the_same_share_twice_is_a_duplicate(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    params = miner.find(miner.notifies()[0])
    miner.say("submit", params)

    answer = miner.say("submit", params)

    assert answer["error"] == [22, "Duplicate share", None]
    assert pool.accepted == 1


def test_a_share_of_the_last_block_is_stale(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    params = miner.find(miner.notifies()[0])
    pool.new_block(1.0)

    answer = miner.say("submit", params, now=1.0)

    assert answer["error"] == [21, "Job not found", None]
    assert miner.notifies()[-1].is_clean


def test_rolled_versions_are_taken_within_the_mask_only(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    notify = miner.notifies()[0]

    good = miner.say("submit", miner.find(notify, version_bits=0x00ABC000 & ~0x1FFF))
    bad = miner.say("submit", miner.find(notify, version_bits=0x20000000))

    assert good["result"] is True
    assert bad["error"] == [20, "Version bits outside the mask", None]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({0: "stranger"}, [24, "Unauthorized worker", None]),
        ({1: "ffff"}, [21, "Job not found", None]),
        ({1: 7}, [21, "Job not found", None]),
        ({2: "00"}, [20, "Wrong extranonce2 size", None]),
        ({3: "00000000"}, [20, "Time out of range", None]),
        ({3: "zz"}, [20, "Malformed share", None]),
        ({4: None}, [20, "Malformed share", None]),
    ],
)
def test_malformed_shares_are_refused(
    pool: Pool, change: dict[int, Any], error: list[Any]
) -> None:
    miner = Miner(pool).set_up()
    params = miner.find(miner.notifies()[0])
    for index, value in change.items():
        params[index] = value

    assert miner.say("submit", params)["error"] == error


def test_shares_before_subscribe_or_authorize_are_refused(pool: Pool) -> None:
    miner = Miner(pool)

    assert miner.say("submit", [USER, "1"])["error"] == [25, "Not subscribed", None]
    miner.say("subscribe", [])
    assert miner.say("submit", [USER])["error"] == [24, "Unauthorized worker", None]


def test_a_suggested_difficulty_is_taken_to_the_last_digit(pool: Pool) -> None:
    miner = Miner(pool).set_up()

    miner.say("suggest_difficulty", [1000 / 2**32])

    assert miner.difficulties()[-1] == 1000 / 2**32
    assert not miner.notifies()[-1].is_clean


def test_a_share_of_the_old_difficulty_stays_good_for_its_job(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    params = miner.find(miner.notifies()[0])
    miner.say("suggest_difficulty", [2.0**-10])

    assert miner.say("submit", params)["result"] is True


def test_the_difficulty_follows_the_share_rate(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    pool.step(1.0)
    for number in range(12):
        notify = miner.notifies()[-1]
        params = miner.find(notify, extranonce2=number.to_bytes(8))
        assert miner.say("submit", params, now=number * 0.05)["error"] is None

    assert miner.difficulties()[-1] > 16 * EASY


def test_a_steady_miner_keeps_its_difficulty(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    for number in range(100):
        now = 4.0 * number
        pool.step(now)
        notify = miner.notifies()[-1]
        params = miner.find(notify, extranonce2=number.to_bytes(8), meets=EASY)
        miner.say("submit", params, now=now)

    assert set(miner.difficulties()) == {EASY}


def test_silence_lowers_the_difficulty_quickly(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    miner.say("suggest_difficulty", [1000])
    for second in range(0, 130, 5):
        pool.step(float(second))

    assert miner.difficulties()[-1] == 1000 / 16**6


def test_transactions_bring_new_jobs_and_time_brings_blocks(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    height = pool.chain.height
    for second in range(0, 3600, 10):
        pool.step(float(second))
        miner.listen()

    notifies = miner.notifies()
    assert 2 <= pool.chain.height - height <= 15
    assert len({n.job_id for n in notifies}) > 100
    assert max(len(n.merkle_branch) for n in notifies) > 5
    cleans = [n for n in notifies if n.is_clean]
    assert len(cleans) == pool.chain.height - height + 1


def test_a_share_that_meets_the_network_is_a_block() -> None:
    pool = Pool(start_difficulty=EASY, network_difficulty=EASY, seed=1)
    miner = Miner(pool).set_up()
    height, tip = pool.chain.height, pool.chain.tip

    miner.say("submit", miner.find(miner.notifies()[0]))

    assert pool.blocks_found == 1
    assert pool.chain.height == height + 1
    assert pool.chain.tip != tip
    assert miner.notifies()[-1].prevhash == pool.chain.tip


def test_the_pool_misbehaves_on_command(pool: Pool) -> None:
    miner = Miner(pool).set_up()
    params = miner.find(miner.notifies()[0])

    pool.refuse_shares("Maintenance")
    assert miner.say("submit", params)["error"] == [20, "Maintenance", None]
    pool.refuse_shares(None)
    pool.set_silent(True)
    miner.connection.receive(b'{"id":9,"method":"mining.ping","params":[]}\n', 1.0)
    assert miner.connection.data_to_send() == b""
    pool.set_silent(False)
    miner.connection.request_reconnect()
    assert b"client.reconnect" in miner.connection.data_to_send()
    pool.drop_connections()
    assert miner.connection.wants_close


def test_over_long_lines_end_the_connection(pool: Pool) -> None:
    connection = pool.connect(0.0)

    connection.receive(b"x" * 20_000, 0.0)

    assert connection.wants_close


def test_a_client_that_does_not_read_is_dropped(pool: Pool) -> None:
    connection = pool.connect(0.0)
    for _ in range(5000):
        connection.receive(b'{"id":1,"method":"mining.nope","params":[]}\n', 0.0)

    assert connection.wants_close


@settings(max_examples=200)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    connection = Pool(seed=1).connect(0.0)

    connection.receive(data + b"\n", 0.0)
    connection.data_to_send()


@settings(max_examples=200)
@given(
    method=st.sampled_from(["configure", "subscribe", "authorize", "submit", "ping"]),
    params=st.lists(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=9)
        | st.lists(st.text(max_size=3), max_size=3)
        | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        max_size=7,
    ),
)
def test_any_params_get_an_answer(method: str, params: list[Any]) -> None:
    miner = Miner(Pool(seed=1)).set_up()

    assert "result" in miner.say(method, params)
