import json
from struct import pack

import pytest
from msgspec.structs import replace
from tests.each import each

from softaxe.bitcoin import kernel
from softaxe.bitcoin.coinbase import decode_coinbase
from softaxe.bitcoin.header import (
    Work,
    difficulty_of,
    merkle_root,
    sha256d,
    target_for,
)
from softaxe.stratum.chain import Template
from softaxe.stratum.dialects import (
    BITS_OUTSIDE_MASK,
    DUPLICATE_SHARE,
    LOW_DIFFICULTY_SHARE,
    MALFORMED_SHARE,
)
from softaxe.stratum.messages import swap_words
from softaxe.stratum.pool_job import (
    ANYONE_CAN_SPEND,
    MAX_SHARES,
    Job,
    RequestError,
    Submission,
    payout_script,
    word,
)

VERSION_MASK = 0x1FFFE000
SHARE_DIFFICULTY = 2.0**-24
BLOCK_NBITS = 0x2100FFFF
HARD_NBITS = 0x1705AE3A
NTIME = 1_768_000_000
TEMPLATE = Template(
    height=931_409,
    prevhash=bytes(range(32)),
    merkle_branch=(b"\xaa" * 32, b"\xbb" * 32),
    value_sat=312_500_123,
    version=0x20000000,
    nbits=HARD_NBITS,
    ntime=NTIME,
)


def make_job(
    *,
    template: Template = TEMPLATE,
    difficulty: float = SHARE_DIFFICULTY,
    number: int = 0x2A,
) -> Job:
    return Job(
        number=number,
        template=template,
        difficulty=difficulty,
        extranonce1=b"\x00\x00\x00\x07",
        extranonce2_size=8,
        payout=b"\x00\x14" + bytes(20),
    )


def check(
    job: Job, submission: Submission, *, version_mask: int = VERSION_MASK
) -> float:
    return job.check(
        submission, version_mask=version_mask, latest_ntime=NTIME + 7200
    ).difficulty


def mine(
    job: Job,
    *,
    extranonce2: str = "0100000000000000",
    ntime: int = NTIME,
    version_bits: int = 0,
    count: int = 1,
) -> list[Submission]:
    """Find shares from what goes over the wire, with the miner's own functions."""
    params = json.loads(job.notify_params(is_clean=True))
    coinbase = params[2] + job.extranonce1.hex() + extranonce2 + params[3]
    branch = [bytes.fromhex(sibling) for sibling in params[4]]
    work = Work(
        version=int(params[5], 16) ^ version_bits,
        prevhash=swap_words(bytes.fromhex(params[1])),
        merkle_root=merkle_root(sha256d(bytes.fromhex(coinbase)), branch),
        ntime=ntime,
        nbits=int(params[6], 16),
    )
    target = target_for(job.difficulty)
    found: list[int] = []
    first = 0
    while len(found) < count:
        found += kernel.search(work.header(), first, 256, target)
        first += 256
    return [
        Submission(
            extranonce2,
            f"{ntime:08x}",
            pack(">I", nonce)[::-1].hex(),
            f"{version_bits:08x}",
        )
        for nonce in found[:count]
    ]


def test_notify_holds_the_template_as_stratum_wants_it() -> None:
    params = json.loads(make_job().notify_params(is_clean=False))

    assert params[0] == "2a"
    assert params[1].startswith("03020100" + "07060504")
    assert params[4:] == [
        ["aa" * 32, "bb" * 32],
        "20000000",
        "1705ae3a",
        f"{NTIME:08x}",
        False,
    ]


def test_coinbase_tells_height_and_tag_and_pays_everything() -> None:
    params = json.loads(make_job().notify_params(is_clean=True))
    coinbase1, coinbase2 = bytes.fromhex(params[2]), bytes.fromhex(params[3])

    info = decode_coinbase(coinbase1, coinbase2, 12)

    assert info is not None
    assert info.height == 931_409
    assert info.scriptsig == "/softaxe/"
    script_length = coinbase1[41]
    assert len(coinbase1) + 12 == 42 + script_length
    assert coinbase2[:4] == b"\xff" * 4
    output = pack("<BQB", 1, 312_500_123, 22) + b"\x00\x14" + bytes(20)
    assert coinbase2[4:-4] == output


@each("height", [1, 127, 128, 32_767, 32_768, 931_409, 1 << 24])
def test_height_is_a_positive_script_number(height: int) -> None:
    job = make_job(template=replace(TEMPLATE, height=height))
    params = json.loads(job.notify_params(is_clean=True))

    coinbase1 = bytes.fromhex(params[2])
    push = coinbase1[42]

    number = coinbase1[43 : 43 + push]
    assert int.from_bytes(number, "little", signed=True) == height


def test_two_jobs_of_one_template_have_different_coinbases() -> None:
    one, other = make_job(number=1), make_job(number=2)
    share = mine(one)[0]

    check(one, share)

    with pytest.raises(RequestError) as caught:
        check(other, share)
    assert caught.value.reason == LOW_DIFFICULTY_SHARE


@each("version_bits", [0, 0x2000, VERSION_MASK])
@each("ntime", [NTIME, NTIME + 7200])
def test_a_mined_share_is_taken(version_bits: int, ntime: int) -> None:
    job = make_job()

    [share] = mine(job, version_bits=version_bits, ntime=ntime)

    assert check(job, share) >= SHARE_DIFFICULTY


def test_a_share_altered_by_any_one_bit_is_refused() -> None:
    job = make_job(difficulty=2.0**-20)
    [share] = mine(job, version_bits=0x2000)

    altered = [
        replace(share, nonce=f"{int(share.nonce, 16) ^ 1 << bit:08x}")
        for bit in range(32)
    ]
    altered += [
        replace(share, extranonce2=f"{int(share.extranonce2, 16) ^ 1 << bit:016x}")
        for bit in range(64)
    ]
    altered += [
        replace(share, version_bits=f"{0x2000 ^ 1 << bit:08x}") for bit in range(32)
    ]
    altered += [replace(share, ntime=f"{NTIME ^ 1 << bit:08x}") for bit in range(32)]

    for submission in altered:
        with pytest.raises(RequestError):
            check(job, submission)
    check(job, share)


def test_the_same_share_twice_is_a_duplicate_however_it_is_spelt() -> None:
    job = make_job()
    [share] = mine(job)
    check(job, share)

    again = [share, replace(share, nonce=share.nonce.upper())]

    for submission in again:
        with pytest.raises(RequestError) as caught:
            check(job, submission)
        assert caught.value.reason == DUPLICATE_SHARE


def test_a_refused_share_is_not_remembered() -> None:
    job = make_job(difficulty=2.0**-20)
    hopeless = Submission("00" * 8, f"{NTIME:08x}", "00000000")

    for _ in range(2):
        with pytest.raises(RequestError) as caught:
            check(job, hopeless)
        assert caught.value.reason == LOW_DIFFICULTY_SHARE


def test_version_bits_outside_the_mask_are_refused() -> None:
    job = make_job()
    [share] = mine(job, version_bits=0x2000)

    with pytest.raises(RequestError) as caught:
        check(job, share, version_mask=0x1FFFC000)

    assert caught.value.reason == BITS_OUTSIDE_MASK


@each("ntime", [0, NTIME - 1, NTIME + 7201, 0xFFFFFFFF])
def test_time_before_the_template_or_far_ahead_is_refused(ntime: int) -> None:
    job = make_job()
    [share] = mine(job, ntime=ntime)

    with pytest.raises(RequestError, match="ntime out of range"):
        check(job, share)


@each(
    "changes",
    [
        {"nonce": ""},
        {"nonce": "0"},
        {"nonce": "000000000"},
        {"nonce": "0x000000"},
        {"nonce": "0000 000"},
        {"nonce": "00 00 00 00"},
        {"nonce": "-0000001"},
        {"nonce": "0000000g"},
        {"nonce": "١١١١١١١١"},
        {"ntime": ""},
        {"ntime": "zzzzzzzz"},
        {"extranonce2": ""},
        {"extranonce2": "00" * 7},
        {"extranonce2": "00" * 9},
        {"extranonce2": "0_" * 8},
        {"version_bits": ""},
        {"version_bits": "2000"},
    ],
)
def test_anything_but_hex_of_the_right_width_is_malformed(
    changes: dict[str, str],
) -> None:
    job = make_job()
    [share] = mine(job)

    with pytest.raises(RequestError) as caught:
        check(job, replace(share, **changes))

    assert caught.value.reason == MALFORMED_SHARE


def test_a_hash_below_the_network_target_is_a_block() -> None:
    easy = make_job(template=replace(TEMPLATE, nbits=BLOCK_NBITS))
    hard = make_job()

    results = [
        job.check(mine(job)[0], version_mask=0, latest_ntime=NTIME)
        for job in (easy, hard)
    ]

    assert [result.is_block for result in results] == [True, False]
    header = results[0].header
    assert len(header) == 80
    assert difficulty_of(sha256d(header)) == results[0].difficulty


def test_a_job_is_used_up_after_its_share_limit() -> None:
    job = make_job(difficulty=2.0**-32)

    for share in mine(job, count=MAX_SHARES - 1):
        check(job, share)
    assert not job.is_used_up
    check(job, mine(job, extranonce2="ff" * 8)[0])

    assert job.is_used_up


def test_word_reads_big_endian_hex() -> None:
    assert word("0a029ed1") == 0x0A029ED1


@each("user", ["", "bitaxe", "nobody.rig", "replace-this.bitaxe"])
def test_a_name_that_is_no_address_pays_anyone(user: str) -> None:
    assert payout_script(user) == ANYONE_CAN_SPEND


def test_the_address_before_the_first_dot_is_paid() -> None:
    # Test vector of BIP 173.
    address = "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"

    script = payout_script(address.lower() + ".rig.1")

    assert script.hex() == "0014751e76e8199196d454941c45d1b3a323f1433bd6"
