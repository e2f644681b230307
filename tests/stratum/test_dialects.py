"""What a miner sees of each dialect: one transcript each, and our own device on it."""

import json
from typing import Any

import pytest
from tests.each import each
from tests.stratum.test_pool import EASY, USER, Miner, MinersJob

from softaxe import Device, Pool, Simulation
from softaxe.errors import SettingError
from softaxe.stratum.dialects import (
    DIALECTS,
    LOW_DIFFICULTY_SHARE,
    SHARE_VERSIONS,
    UNKNOWN_JOB,
    dialect_of,
    read_version,
)
from softaxe.stratum.pool import START_TIME, PoolFaults

SETTING_UP: tuple[tuple[Any, ...], ...] = (
    ("mining.configure", ["version-rolling"], {"version-rolling.mask": "ffffffff"}),
    ("mining.subscribe", "bitaxe/BM1370/v2.12.2"),
    ("mining.authorize", USER, "x"),
    ("mining.suggest_difficulty", 1000),
    ("mining.extranonce.subscribe",),
)
NOTIFY = "notify"
"""Stands for a line with a job."""


def pool_of(name: str, *, start: float | None = None, **order: Any) -> Pool:
    dialect = dialect_of(name, **order)
    return Pool(
        seed=1,
        dialect=dialect,
        start_difficulty=start or dialect.start_difficulty or 0.001,
        network_difficulty=1e6,
        block_interval_s=1e9,
        start_time=START_TIME,
    )


def ask(miner: Miner, id_: int, method: str, *params: object) -> list[str]:
    """Return the lines that follow a request; a job is `NOTIFY`."""
    miner.lines.clear()
    line = json.dumps({"id": id_, "method": method, "params": params})
    miner.connection.receive(line.encode() + b"\n", 0.0)
    miner.read()
    return list(map(_without_job, miner.lines))


def _without_job(line: str) -> str:
    return NOTIFY if json.loads(line).get("method") == "mining.notify" else line


TRANSCRIPTS = {
    "softaxe": [
        '{"id": 1, "result": {"version-rolling": true, '
        '"version-rolling.mask": "1fffe000"}, "error": null}',
        '{"id": 2, "result": [[["mining.set_difficulty", "1"], ["mining.notify", "1"]]'
        ', "00000001", 8], "error": null}',
        '{"id": 3, "result": true, "error": null}',
        '{"id": null, "method": "mining.set_difficulty", "params": [0.001]}',
        NOTIFY,
        '{"id": 4, "result": true, "error": null}',
        '{"id": null, "method": "mining.set_difficulty", "params": [1000]}',
        NOTIFY,
        '{"id": 5, "result": true, "error": null}',
    ],
    "public-pool": [
        '{"id":1,"error":null,"result":{"version-rolling":true,'
        '"version-rolling.mask":"1fffe000"}}',
        '{"id":2,"error":null,"result":[[["mining.notify","00000001"]],"00000001",4]}',
        '{"id":3,"error":null,"result":true}',
        '{"id":null,"method":"mining.set_difficulty","params":[16384]}',
        NOTIFY,
        '{"id":null,"method":"mining.set_difficulty","params":[1000]}',
    ],
    "blitzpool": [
        '{"id":1,"error":null,"result":{"version-rolling":true,'
        '"version-rolling.mask":"1fffe000"}}',
        '{"id":2,"error":null,"result":[[["mining.notify","00000001"]],"00000001",4]}',
        '{"id":3,"error":null,"result":true}',
        '{"id":null,"method":"mining.set_difficulty","params":[16384]}',
        NOTIFY,
        '{"id":null,"method":"mining.set_difficulty","params":[1000]}',
        '{"id":5,"error":null,"result":true}',
        '{"id":null,"method":"mining.set_extranonce","params":["00000002",4]}',
        NOTIFY,
    ],
    "ckpool": [
        '{"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},'
        '"error":null,"id":1}',
        '{"result":[[["mining.notify","00000001"]],"00000001",8],"error":null,"id":2}',
        '{"params":[42],"id":null,"method":"mining.set_difficulty"}',
        NOTIFY,
        '{"params":[42],"id":null,"method":"mining.set_difficulty"}',
        '{"result":true,"error":null,"id":3}',
        '{"params":[1000],"id":null,"method":"mining.set_difficulty"}',
    ],
    "ckpool-lhr": [
        '{"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},'
        '"error":null,"id":1}',
        '{"result":[[["mining.notify","00000001"]],"00000001",8],"error":null,"id":2}',
        '{"params":[42],"id":null,"method":"mining.set_difficulty"}',
        NOTIFY,
        '{"params":[42],"id":null,"method":"mining.set_difficulty"}',
        '{"result":true,"error":null,"id":3}',
        '{"params":[1000],"id":null,"method":"mining.set_difficulty"}',
        '{"result":null,"error":[20,"Not supported.",null],"id":5}',
    ],
    "datum": [
        '{"error":null,"id":1,"result":{"version-rolling":true,'
        '"version-rolling.mask":"1fffe000"}}',
        '{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}',
        '{"error":null,"id":2,"result":[[["mining.notify","000000011"],'
        '["mining.set_difficulty","000000012"]],"00000001",8]}',
        '{"id":null,"method":"mining.set_difficulty","params":[16384]}',
        NOTIFY,
        '{"error":null,"id":3,"result":true}',
        '{"error":[-3,"Method not found",null],"id":4,"result":null}',
        '{"error":[-3,"Method not found",null],"id":5,"result":null}',
    ],
    "nomp": [
        '{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"1fffe000"},'
        '"error":null}',
        '{"id":2,"result":['
        '[["mining.set_difficulty","deadbeefcafebabe0000000100000000"],'
        '["mining.notify","deadbeefcafebabe0000000100000000"]],"00000001",4],'
        '"error":null}',
        '{"id":null,"method":"mining.set_difficulty","params":[0.001]}',
        NOTIFY,
        '{"id":3,"result":true,"error":null}',
        '{"id":5,"result":false,"error":[20,"Not supported.",null]}',
    ],
}


@each("name", DIALECTS)
def test_a_miner_is_set_up_as_at_the_real_pool(name: str) -> None:
    miner = Miner(pool_of(name))

    heard = [
        line
        for number, (method, *params) in enumerate(SETTING_UP, 1)
        for line in ask(miner, number, method, *params)
    ]

    assert heard == TRANSCRIPTS[name]


REFUSALS: dict[str, dict[str, list[str]]] = {
    "softaxe": {
        "unknown job": [
            '{"id": 9, "result": null, "error": [21, "Job not found", null]}'
        ],
        "stale job": [
            '{"id": 9, "result": null, "error": [21, "Job not found", null]}'
        ],
        "too easy": [
            '{"id": 9, "result": null, "error": [23, "Low difficulty share", null]}'
        ],
        "twice": ['{"id": 9, "result": null, "error": [22, "Duplicate share", null]}'],
        "too early": [
            '{"id": 9, "result": null, "error": [20, "ntime out of range", null]}'
        ],
        "outside the mask": [
            '{"id": 9, "result": null, '
            '"error": [20, "Version bits outside the mask", null]}'
        ],
        "short extranonce2": [
            '{"id": 9, "result": null, "error": [20, "Malformed share", null]}'
        ],
        "other worker": [
            '{"id": 9, "result": null, "error": [24, "Unauthorized worker", null]}'
        ],
        "unknown method": [
            '{"id": 9, "result": null, "error": [20, "Unknown method", null]}'
        ],
    },
    "public-pool": {
        "unknown job": ['{"id":9,"result":null,"error":[21,"Job not found",""]}'],
        "stale job": ['{"id":9,"result":null,"error":[21,"Job not found",""]}'],
        "too easy": ['{"id":9,"result":null,"error":[23,"Difficulty too low",""]}'],
        "twice": ['{"id":9,"result":null,"error":[22,"Duplicate share",""]}'],
        "outside the mask": [
            '{"id":9,"result":null,"error":[23,"Difficulty too low",""]}'
        ],
        "other worker": ['{"id":9,"error":null,"result":true}'],
        "unknown method": [],
    },
    "blitzpool": {
        "unknown job": ['{"id":9,"result":null,"error":[21,"Job not found",""]}'],
        "too easy": ['{"id":9,"result":null,"error":[23,"Difficulty too low",""]}'],
        "twice": ['{"id":9,"result":null,"error":[22,"Duplicate share",""]}'],
        "unknown method": [],
    },
    "ckpool": {
        "unknown job": [
            '{"reject-reason":"Invalid JobID","result":false,"error":null,"id":9}'
        ],
        "stale job": ['{"reject-reason":"Stale","result":false,"error":null,"id":9}'],
        "too easy": [
            '{"reject-reason":"Above target","result":false,"error":null,"id":9}'
        ],
        "twice": ['{"reject-reason":"Duplicate","result":false,"error":null,"id":9}'],
        "too early": [
            '{"reject-reason":"Ntime out of range","result":false,"error":null,"id":9}'
        ],
        "outside the mask": ['{"result":false,"error":"Invalid version mask","id":9}'],
        "short extranonce2": [
            '{"reject-reason":"Above target","result":false,"error":null,"id":9}'
        ],
        "other worker": ['{"result":false,"error":"Worker mismatch","id":9}'],
        "unknown method": [],
    },
    "ckpool-lhr": {
        "unknown job": ['{"result":false,"error":[21,"Invalid JobID",null],"id":9}'],
        "stale job": ['{"result":false,"error":[21,"Stale",null],"id":9}'],
        "too easy": ['{"result":false,"error":[23,"Above target",null],"id":9}'],
        "twice": ['{"result":false,"error":[22,"Duplicate",null],"id":9}'],
        "other worker": ['{"result":false,"error":[24,"Worker mismatch",null],"id":9}'],
        "unknown method": [],
    },
    "datum": {
        "unknown job": ['{"error":[20,"unknown-work",null],"id":9,"result":null}'],
        "stale job": ['{"error":[21,"stale-prevblk",null],"id":9,"result":null}'],
        "too easy": ['{"error":[23,"H-not-zero",null],"id":9,"result":null}'],
        "twice": ['{"error":[22,"duplicate",null],"id":9,"result":null}'],
        "too early": ['{"error":[21,"time-too-old",null],"id":9,"result":null}'],
        "outside the mask": ['{"error":[23,"bad-version",null],"id":9,"result":null}'],
        "other worker": ['{"error":null,"id":9,"result":true}'],
        "unknown method": [
            '{"error":[-3,"Method not found",null],"id":9,"result":null}'
        ],
    },
    "nomp": {
        "unknown job": ['{"id":9,"result":null,"error":[21,"job not found"]}'],
        "stale job": ['{"id":9,"result":null,"error":[21,"job not found"]}'],
        "twice": ['{"id":9,"result":null,"error":[22,"duplicate share"]}'],
        "too early": ['{"id":9,"result":null,"error":[20,"ntime out of range"]}'],
        "outside the mask": [
            '{"id":9,"result":null,"error":[20,"invalid version bit"]}'
        ],
        "short extranonce2": [
            '{"id":9,"result":null,"error":[20,"incorrect size of extranonce2"]}'
        ],
        "other worker": ['{"id":9,"result":true,"error":null}'],
        "unknown method": [],
    },
}


@each(
    ("name", "wrong"), [(name, wrong) for name in REFUSALS for wrong in REFUSALS[name]]
)
def test_what_is_wrong_is_refused_in_the_pool_s_words(name: str, wrong: str) -> None:
    miner = mining_on(name)
    user, job, extranonce2, ntime, nonce, bits = map(str, miner.mine())
    share = [user, job, extranonce2, ntime, nonce, bits]
    method = "mining.submit"
    match wrong:
        case "unknown job":
            share[1] = "f" * len(job)
        case "stale job":
            miner.pool.new_block(0.0)
            miner.read()
        case "too easy":
            share[4] = f"{int(nonce, 16) ^ 1:08x}"
        case "twice":
            ask(miner, 8, method, *share)
        case "too early":
            share[3] = f"{START_TIME - 1:08x}"
        case "outside the mask":
            share[5] = "00000001"
        case "short extranonce2":
            share[2] = share[2][2:]
        case "other worker":
            share[0] = "somebody"
        case "unknown method":
            method, share = "mining.fly", []

    assert ask(miner, 9, method, *share) == REFUSALS[name][wrong]


def mining_on(name: str, *, start: float = EASY, **order: Any) -> Miner:
    miner = Miner(pool_of(name, start=start, **order))
    miner.begin()
    return miner


def test_a_share_that_is_too_easy_is_told_how_easy_it_is_by_nomp() -> None:
    miner = mining_on("nomp")
    share = miner.mine()
    share[4] = "00000000"

    (line,) = ask(miner, 9, "mining.submit", *share)

    told = json.loads(line)["error"][1]
    assert 0 < float(told.removeprefix("low difficulty share of ")) < EASY


def test_datum_tells_a_hash_below_difficulty_1_from_one_that_is_only_too_easy() -> None:
    datum = DIALECTS["datum"]

    assert "high-hash" in datum.refused(9, LOW_DIFFICULTY_SHARE, difficulty=1.0)
    assert "H-not-zero" in datum.refused(9, LOW_DIFFICULTY_SHARE, difficulty=0.9)


def test_what_is_ordered_is_told_as_it_is() -> None:
    said = '{"id":9,"result":null,"error":[20,"Job not found"]}'

    assert DIALECTS["nomp"].refused(9, UNKNOWN_JOB, is_ordered=True) == said


# Users


STRANGERS: dict[str, tuple[list[str], bool]] = {
    "softaxe": (['{"id": 3, "result": true, "error": null}'], True),
    "public-pool": (
        [
            '{"id":3,"result":null,"error":'
            '[20,"Authorization validation error",", some\\"body"]}'
        ],
        False,
    ),
    "blitzpool": (
        ['{"id":3,"result":null,"error":[20,"Invalid Bitcoin address",""]}'],
        False,
    ),
    "ckpool": (['{"result":false,"error":null,"id":3}'], False),
    "ckpool-lhr": (['{"result":false,"error":null,"id":3}'], False),
    "datum": (['{"error":null,"id":3,"result":true}'], True),
    "nomp": (['{"id":3,"result":false,"error":null}'], True),
}
"""The reply to a user that is no address, and whether jobs come."""


@each("name", STRANGERS)
def test_who_is_no_address_is_answered_as_at_the_real_pool(name: str) -> None:
    reply, gets_jobs = STRANGERS[name]
    miner = Miner(pool_of(name))

    ask(miner, 2, "mining.subscribe", "x")
    heard = ask(miner, 3, "mining.authorize", 'some"body.one', "x")

    assert [
        line for line in heard if line != NOTIFY and "set_diff" not in line
    ] == reply
    assert bool(miner.jobs) is gets_jobs
    assert miner.connection.wants_close is (name == "blitzpool")
    if name == "nomp":
        share = miner.mine(MinersJob(miner.jobs[-1].params, EASY, "00000001"))
        (refused,) = ask(miner, 4, "mining.submit", *share)
        expected = '{"id":4,"result":null,"error":[24,"unauthorized worker",null]}'
        assert refused == expected


def test_ckpool_hangs_up_on_a_wrong_user_after_two_minutes() -> None:
    miner = Miner(pool_of("ckpool"))
    ask(miner, 2, "mining.subscribe", "x")
    ask(miner, 3, "mining.authorize", "somebody", "x")

    miner.pool.step(115.0)
    assert not miner.connection.wants_close
    miner.pool.step(120.0)
    assert miner.connection.wants_close


@each(
    ("name", "heard", "is_closed"),
    [
        (
            "softaxe",
            ['{"id": 9, "result": null, "error": [25, "Not subscribed", null]}'],
            False,
        ),
        ("public-pool", [], True),
        (
            "blitzpool",
            ['{"id":9,"result":null,"error":[25,"Not subscribed",""]}'],
            False,
        ),
        ("ckpool", [], False),
        ("nomp", ['{"id":9,"result":null,"error":[25,"not subscribed",null]}'], False),
    ],
)
def test_a_share_before_all_else(name: str, heard: list[str], is_closed: bool) -> None:
    miner = Miner(pool_of(name))

    assert ask(miner, 9, "mining.submit", USER, "1", "00", "00", "00") == heard
    assert miner.connection.wants_close is is_closed


@each("name", sorted(set(DIALECTS) - {"softaxe"}))
def test_others_hang_up_on_what_is_no_json(name: str) -> None:
    connection = pool_of(name).connect(0.0)

    connection.receive(b"GET / HTTP/1.1\n", 0.0)

    assert connection.wants_close
    assert connection.data_to_send() == b""


# Suggestions and changes of the difficulty


def test_public_pool_takes_the_first_suggestion_and_tells_it_at_once() -> None:
    miner = Miner(pool_of("public-pool"))

    early = ask(miner, 1, "mining.suggest_difficulty", 512)
    ask(miner, 2, "mining.subscribe", "x")
    begun = ask(miner, 3, "mining.authorize", USER, "x")

    assert early == ['{"id":null,"method":"mining.set_difficulty","params":[512]}']
    assert begun == ['{"id":3,"error":null,"result":true}', NOTIFY]
    assert ask(miner, 4, "mining.suggest_difficulty", 64) == []


def test_ckpool_clamps_a_suggestion_and_hears_none_before_the_user() -> None:
    miner = Miner(pool_of("ckpool"))

    assert ask(miner, 1, "mining.suggest_difficulty", 512) == []
    ask(miner, 2, "mining.subscribe", "x")
    ask(miner, 3, "mining.authorize", USER, "x")

    told = '{"params":[1],"id":null,"method":"mining.set_difficulty"}'
    assert ask(miner, 4, "mining.suggest_difficulty", 0.01) == [told]
    assert ask(miner, 5, "mining.suggest_difficulty", 0.02) == []


@each(
    ("name", "told"),
    [
        ("softaxe", [1024 / 16**n for n in range(1, 7)]),
        ("public-pool", [128, 16, 2, 0.25, 0.03125]),
        ("blitzpool", [192, 32, 6, 1, 0.1875]),
        ("ckpool", []),
        ("ckpool-lhr", []),
        ("nomp", []),
    ],
)
def test_five_minutes_of_silence(name: str, told: list[float]) -> None:
    pool = pool_of(name, start=1024)
    miner = Miner(pool)
    miner.begin()

    asked: list[float] = []
    for step in range(1, 61):
        pool.step(step * 5.0)
        if pool.connections[0].seats()[0].difficulty not in (1024, *asked):
            asked.append(pool.connections[0].seats()[0].difficulty)

    assert asked[: len(told)] == told
    assert bool(asked) is bool(told)


def test_datum_tells_a_change_with_the_next_job_and_never_asks_for_less() -> None:
    pool = pool_of("datum", start=32768)
    miner = Miner(pool)
    miner.begin()
    miner.methods.clear()

    pool.step(400.0)
    miner.read()

    told = ["mining.notify", "mining.set_difficulty", "mining.notify"]
    assert miner.methods[:3] == told
    assert miner.methods.count("mining.set_difficulty") == 1
    assert miner.difficulty == 16384


@pytest.mark.parametrize("name", ["ckpool", "public-pool"])
def test_shares_of_an_older_easier_job_after_the_difficulty_has_grown(
    name: str,
) -> None:
    miner = mining_on(name)
    share = miner.mine()
    miner.connection.set_difficulty(1.0, 0.0)

    (*_, answer) = ask(miner, 9, "mining.submit", *share)

    # ckpool takes what met either difficulty, public-pool only what meets the last.
    assert ("Difficulty too low" in answer) is (name == "public-pool")
    assert ('"result":true' in answer) is (name == "ckpool")


# Versions


IN_THE_MASK = 0x30000000


@each(
    ("rolled", "bits", "taken"),
    [
        (0x30002000, 0x00002000, {"xor", "or"}),
        (0x20002000, 0x10002000, {"xor"}),
        (0x30002000, 0x10002000, {"or", "masked"}),
        (0x20002000, 0x00002000, {"masked"}),
    ],
)
@each("formula", SHARE_VERSIONS)
def test_which_shares_a_formula_takes_where_the_job_has_bits_inside_the_mask(
    rolled: int, bits: int, taken: set[str], formula: str
) -> None:
    miner = mining_on("softaxe", job_version=IN_THE_MASK, share_version=formula)
    assert miner.jobs[-1].params[5] == "30000000"

    answer = miner.submit(miner.mine(rolled=rolled, version_bits=bits))

    expected = True if formula in taken else [23, "Low difficulty share", None]
    assert answer == expected


@pytest.mark.unwatched
@each(("formula", "takes"), [("xor", True), ("or", True), ("masked", False)])
def test_a_bitaxe_where_the_job_has_bits_inside_the_mask(
    formula: str, takes: bool
) -> None:
    dialect = dialect_of("softaxe", job_version=IN_THE_MASK, share_version=formula)
    simulation = Simulation(
        Device(seed=1), Pool.for_scaled_work(seed=1, dialect=dialect)
    )

    simulation.advance(60)

    rejected = simulation.pool.totals.rejected
    assert (simulation.pool.accepted > 5) is takes
    assert (rejected["Low difficulty share"] > 5) is not takes


# Our own device


@pytest.mark.unwatched
@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("release", ["2.12.2", "2.15.0"])
def test_our_device_mines_on_every_dialect(name: str, release: str) -> None:
    pool = Pool.for_scaled_work(seed=1, dialect=dialect_of(name))
    device = Device(seed=1, firmware=release)
    simulation = Simulation(device, pool, latency_s=0.0)

    simulation.advance(300 if name == "datum" else 60)

    assert device.shares.accepted == pool.accepted > 1
    assert device.shares.rejected == pool.totals.rejected.total() == 0


@pytest.mark.unwatched
@each("name", DIALECTS)
def test_our_device_reads_every_dialect_s_refusals(name: str) -> None:
    pool = Pool.for_scaled_work(seed=1, dialect=dialect_of(name))
    device = Device(seed=1)
    simulation = Simulation(device, pool, latency_s=0.0)
    simulation.advance(15)

    (connection,) = pool.connections
    connection.set_faults(PoolFaults(refusal="Job not found"), device.now)
    simulation.advance(300 if name == "datum" else 35)

    assert device.shares.rejected == pool.totals.rejected["Job not found"] > 0
    assert device.shares.rejected_reasons[0].message == "Job not found"


# Names


def test_what_is_no_name_or_number_is_refused() -> None:
    with pytest.raises(SettingError, match="'cgpool' is none of softaxe, public-pool"):
        dialect_of("cgpool")
    with pytest.raises(SettingError, match="'and' is none of xor, or, masked"):
        dialect_of("softaxe", share_version="and")
    for text in ("x", "-1", "0x100000000"):
        with pytest.raises(SettingError, match="is no number from 0 to 0xffffffff"):
            read_version(text)
    assert read_version("0x30000000") == IN_THE_MASK
