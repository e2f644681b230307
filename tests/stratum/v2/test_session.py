import json
from pathlib import Path
from random import Random

import pytest
from tests.each import each
from tests.stratum.v2.wires import Miner, ScriptedPool

from softaxe.bitcoin.header import DIFFICULTY_1_TARGET
from softaxe.stratum.session import (
    DifficultySet,
    ExtranonceSet,
    LinkFailed,
    Secured,
    SetupAccepted,
    ShareAccepted,
    ShareRejected,
)
from softaxe.stratum.v2.frames import Frame
from softaxe.stratum.v2.messages import (
    CloseChannel,
    Message,
    NewExtendedMiningJob,
    NewMiningJob,
    OpenExtendedMiningChannelSuccess,
    OpenMiningChannelError,
    OpenStandardMiningChannelSuccess,
    Reconnect,
    SetExtranoncePrefix,
    SetGroupChannel,
    SetNewPrevHash,
    SetTarget,
    SetupConnectionError,
    SetupConnectionSuccess,
    SubmitSharesError,
    SubmitSharesSuccess,
    UpdateChannelError,
)
from softaxe.stratum.v2.noise import Authority

PLAIN = json.loads(
    (Path(__file__).parents[2] / "data" / "firmware-versions.json").read_text()
)["vectors"]["sv2_frames_plain"]
ROOT, PREVHASH = b"\x01" * 32, b"\x02" * 32
ACCEPTED = SetupConnectionSuccess(2, 0)
OPENED = OpenExtendedMiningChannelSuccess(1, 1, DIFFICULTY_1_TARGET, 6, b"\xaa\xbb", 9)
OPENED_STANDARD = OpenStandardMiningChannelSuccess(
    1, 1, DIFFICULTY_1_TARGET, b"\xaa", 9
)


def extended_job(
    job_id: int, ntime: int | None = None, path: tuple[bytes, ...] = (ROOT,)
) -> NewExtendedMiningJob:
    return NewExtendedMiningJob(
        77, job_id, ntime, 0x20000000, False, path, b"first", b"last"
    )


def standard_job(job_id: int, ntime: int | None = None) -> NewMiningJob:
    return NewMiningJob(77, job_id, ntime, 0x20000000, ROOT)


def block(job_id: int, ntime: int = 0x647025B5) -> SetNewPrevHash:
    return SetNewPrevHash(77, job_id, PREVHASH, ntime, 0x1D00FFFF)


def mining(*, version: str = "2.15", is_extended: bool = True) -> ScriptedPool:
    """A pool and a miner with an open channel, its events taken."""
    pool = ScriptedPool(Miner(version=version, is_extended=is_extended))
    pool.say(ACCEPTED, OPENED if is_extended else OPENED_STANDARD)
    pool.hear()
    pool.miner.events.clear()
    return pool


@each(
    ("version", "is_extended", "opening"),
    [
        ("2.14", True, "OpenExtendedMiningChannel user u, v2.14 (min extranonce 6)"),
        ("2.15", True, "OpenExtendedMiningChannel user u, v2.15 (min extranonce 2)"),
        ("2.14", False, "OpenStandardMiningChannel user u"),
        ("2.15", False, "OpenStandardMiningChannel user u"),
    ],
)
def test_a_connection_begins_as_the_firmwares(
    version: str, is_extended: bool, opening: str
) -> None:
    miner = Miner(version=version, is_extended=is_extended)
    channel = "extended" if is_extended else "standard"

    pool = ScriptedPool(miner)
    setup = pool.hear()
    pool.say(ACCEPTED)
    opened = pool.hear()
    pool.say(OPENED if is_extended else OPENED_STANDARD)

    assert setup == [PLAIN[f"SetupConnection {channel} pool.example:3333 BM1370"]]
    assert opened == [PLAIN[opening]]
    assert miner.events == [
        Secured(),
        SetupAccepted(),
        DifficultySet(1.0),
    ]
    assert miner.lines == [
        "I Starting Noise handshake (Noise_NX_Secp256k1+EllSwift_ChaChaPoly_SHA256)",
        "I Authority pubkey configured, will verify server certificate",
        "I Noise handshake complete (0 ms)",
        "I Encrypted channel established (ChaCha20-Poly1305)",
        f"I Sending SetupConnection (vendor=bitaxe, hw=BM1370, channel={channel})",
        "I Pool accepted connection: SV2 version=2, flags=0x00000000",
        f"I Opening {channel} mining channel (user=u)",
        f"I Mining channel opened: channel_id=1, group=9, type={channel}",
        "I Set pool difficulty: 1",
    ]


def test_a_rate_is_told_in_hashes_that_are_searched() -> None:
    pool = ScriptedPool(Miner(scale=2**32))
    pool.hear()

    pool.say(ACCEPTED)

    (opening,) = pool.hear()
    real = PLAIN["OpenExtendedMiningChannel user u, v2.15 (min extranonce 2)"]
    assert opening == real.replace("a5d46853", "a5d46843")  # the exponent, less 32


def test_without_a_key_any_pool_is_taken_and_the_log_says_so() -> None:
    miner = Miner(authority="unusable")

    ScriptedPool(miner, authority=Authority(Random(8)))

    assert miner.events == [Secured()]
    assert (
        "W No authority pubkey configured, server identity will not be verified"
        in miner.lines
    )


def test_a_pool_of_another_authority_is_refused() -> None:
    miner = Miner()

    ScriptedPool(miner, authority=Authority(Random(8)))

    (failed,) = miner.events
    assert isinstance(failed, LinkFailed)
    assert failed.info == "SV2: Auth failed - check key"
    assert miner.session.data_to_send() == b""


@pytest.mark.parametrize(("version", "refuses"), [("2.14", False), ("2.15", True)])
def test_a_key_may_be_required_from_2_15_on(version: str, refuses: bool) -> None:
    miner = Miner(version=version, authority="", needs_authority=True)

    miner.session.connected(0.0)

    failed = [e for e in miner.session.events() if isinstance(e, LinkFailed)]
    infos = [one.info for one in failed]
    assert infos == (["SV2: Auth required - no key"] if refuses else [])
    assert bool(miner.session.data_to_send()) is not refuses


@each(
    ("said", "info"),
    [
        ([SetupConnectionError(0, "no")], "SV2: Pool rejected config"),
        ([OPENED], "SV2: Pool rejected config"),
        ([Frame(1, b"\2")], "SV2: Pool rejected config"),
        ([ACCEPTED, OpenMiningChannelError(1, "no")], "SV2: Pool rejected miner"),
        ([ACCEPTED, SetTarget(1, 5)], "SV2: Pool rejected miner"),
        ([ACCEPTED, OPENED_STANDARD], "SV2: Pool rejected miner"),
    ],
)
def test_a_pool_that_says_anything_else_is_left(
    said: list[Message | Frame], info: str
) -> None:
    pool = ScriptedPool(Miner())

    pool.say(*said, OPENED)

    failed = pool.miner.events[-1]
    assert isinstance(failed, LinkFailed)
    assert failed.info == info
    assert pool.hear() == []


def test_how_long_a_pool_may_be_silent_and_what_is_told_of_it() -> None:
    miner = Miner()

    assert miner.session.patience_s == 10
    assert miner.session.info_when_lost(is_write=False) == (
        "SV2: Auth failed - check key"
    )
    pool = ScriptedPool(miner)
    assert miner.session.patience_s == 180
    assert miner.session.info_when_lost(is_write=False) == "SV2: Pool not responding"
    assert miner.session.info_when_lost(is_write=True) == "SV2: Connection lost"
    pool.say(ACCEPTED, OPENED)
    assert miner.session.info_when_lost(is_write=True) is None


@pytest.mark.parametrize("is_extended", [True, False])
def test_a_job_waits_for_its_block(is_extended: bool) -> None:
    pool = mining(is_extended=is_extended)
    job = extended_job(5) if is_extended else standard_job(5)

    pool.say(job)
    assert pool.miner.jobs == []
    pool.say(block(5))

    (event,) = pool.miner.jobs
    notify = event.notify
    assert (notify.job_id, notify.ntime, notify.nbits) == ("5", 0x647025B5, 0x1D00FFFF)
    assert (notify.prevhash, notify.is_clean) == (PREVHASH, True)
    assert notify.merkle_root == (None if is_extended else ROOT)
    assert notify.merkle_branch == ((ROOT,) if is_extended else ())
    assert event.version_mask == 0x1FFFE000
    assert event.network_difficulty == 1.0
    assert event.extranonce == ExtranonceSet(
        *((b"\xaa\xbb", 6) if is_extended else (b"\xaa", 0))
    )
    assert pool.miner.lines[-1] == (
        "I New prev_hash: job_id=5, ntime=1685071285, nbits=1d00ffff"
    )


def ids(pool: ScriptedPool) -> list[str]:
    return [job.notify.job_id for job in pool.miner.jobs]


def test_the_first_block_wakes_every_job_that_waits() -> None:
    pool = mining()

    pool.say(extended_job(3, ntime=1684022700), extended_job(4), block(4))
    pool.say(extended_job(5), extended_job(6), block(6))

    assert ids(pool) == ["4", "3", "6"]
    assert pool.miner.jobs[1].notify.ntime == 1684022700


def test_eight_jobs_may_wait() -> None:
    pool = mining()
    pool.say(extended_job(1), block(1))

    pool.say(*(extended_job(job_id) for job_id in range(2, 11)))
    pool.say(block(2), block(3), block(10))

    assert ids(pool) == ["1", "3", "10"]  # 10 has taken the place of 2


@pytest.mark.parametrize("is_extended", [True, False])
def test_a_job_with_a_time_begins_at_once(is_extended: bool) -> None:
    pool = mining(is_extended=is_extended)
    job = extended_job if is_extended else standard_job
    pool.say(job(1), block(1))

    pool.say(job(2, 0x64702600), job(3, 0))

    # A time of 0 is one for a standard job, and none for an extended one.
    assert ids(pool) == (["1", "2"] if is_extended else ["1", "2", "3"])


def test_a_merkle_path_of_twenty_is_the_longest() -> None:
    pool = mining()

    pool.say(
        extended_job(1, path=(ROOT,) * 20), extended_job(2, path=(ROOT,) * 21), block(1)
    )

    assert ids(pool) == ["1"]
    assert "E Message cannot be used: merkle path of 21, at most 20" in (
        pool.miner.lines
    )


@each(
    ("version", "target", "told", "used"),
    [
        ("2.14", DIFFICULTY_1_TARGET * 2 // 3, 1.0, 1.5),
        ("2.15", DIFFICULTY_1_TARGET * 2 // 3, 1.5, 1.5),
        ("2.14", DIFFICULTY_1_TARGET * 2, 1.0, 1.0),
        ("2.15", DIFFICULTY_1_TARGET * 2, 0.5, 0.5),
        ("2.14", 0, 2.0**32 - 1, float(DIFFICULTY_1_TARGET)),
        ("2.15", 0, float(DIFFICULTY_1_TARGET), float(DIFFICULTY_1_TARGET)),
    ],
)
def test_a_target_holds_from_the_next_job_on(
    version: str, target: int, told: float, used: float
) -> None:
    pool = mining(version=version)
    pool.say(extended_job(1), block(1))

    pool.say(SetTarget(1, target), extended_job(2, ntime=5))

    assert DifficultySet(told) in pool.miner.events
    assert [job.pool_difficulty for job in pool.miner.jobs] == [1.0, used]
    assert pool.miner.lines[-2] == f"I Set pool difficulty: {told:g}"


@pytest.mark.parametrize(
    ("is_extended", "name"),
    [
        (
            False,
            "SubmitSharesStandard ch=1 seq=0 job=7 nonce=0a029ed1 "
            "ntime=647025b5 version=20000004",
        ),
        (True, "SubmitSharesExtended same, extranonce 000000000001"),
    ],
)
def test_a_share_is_spelled_as_the_firmwares(is_extended: bool, name: str) -> None:
    pool = mining(is_extended=is_extended)
    pool.say(extended_job(7) if is_extended else standard_job(7), block(7))
    extranonce2 = bytes.fromhex("000000000001") if is_extended else b""

    for _ in range(2):
        pool.miner.session.submit(
            job_id="7",
            extranonce2=extranonce2,
            ntime=0x647025B5,
            nonce=0x0A029ED1,
            version_bits=4,
            now=1.0,
        )

    first, second = pool.hear()
    assert first == PLAIN[name]
    assert second[20:28] == "01000000"  # the next sequence number


def submit(pool: ScriptedPool, count: int, now: float) -> None:
    for _ in range(count):
        pool.miner.session.submit(
            job_id="7", extranonce2=bytes(6), ntime=1, nonce=1, version_bits=0, now=now
        )
    pool.hear(now)


def test_shares_are_accepted_in_batches_and_timed() -> None:
    pool = mining()
    pool.say(extended_job(7), block(7))
    session = pool.miner.session
    submit(pool, 4, now=10.0)
    assert session.pending == 4

    pool.say(SubmitSharesSuccess(1, 2, 3, 99), now=10.025)

    assert session.pending == 1
    assert pool.miner.events[-1] == ShareAccepted(3)
    assert session.response_time_s == pytest.approx(0.025)
    assert pool.miner.lines[-1] == "I Shares accepted: 3 (25.0 ms)"


def test_the_latest_32_shares_are_timed() -> None:
    pool = mining()
    pool.say(extended_job(7), block(7))
    submit(pool, 33, now=10.0)

    pool.say(SubmitSharesSuccess(1, 0, 1, 1), now=11.0)
    assert pool.miner.session.response_time_s is None
    pool.say(SubmitSharesSuccess(1, 1, 1, 1), now=12.0)

    assert pool.miner.session.response_time_s == 2.0


def test_a_refusal_has_the_pools_code() -> None:
    pool = mining()

    pool.say(SubmitSharesError(1, 0, "stale-share"), SubmitSharesError(1, 1, "x" * 99))

    assert pool.miner.events == [ShareRejected("stale-share"), ShareRejected("x" * 63)]
    assert "W Share rejected: stale-share" in pool.miner.lines


@each(
    "message",
    [
        Reconnect("other.example", 1),
        CloseChannel(1, "bye"),
        SetGroupChannel(9, (1,)),
        SetExtranoncePrefix(1, b"\1"),
        UpdateChannelError(1, "no"),
    ],
)
def test_what_the_firmware_has_no_use_for_is_called_unknown(message: Message) -> None:
    pool = mining()

    pool.say(message)

    assert pool.miner.events == []
    assert pool.miner.lines[-1].startswith(
        f"W Unknown SV2 message type: 0x{message.KIND:02x} (len="
    )


@pytest.mark.parametrize(("version", "most"), [("2.14", 2048), ("2.15", 8192)])
def test_a_message_that_is_too_long_ends_the_connection(
    version: str, most: int
) -> None:
    pool = mining(version=version)

    pool.say(Frame(0x70, bytes(most)))
    assert pool.miner.events == []
    pool.say(Frame(0x70, bytes(most + 1)))
    pool.say(extended_job(1), block(1))

    (failed,) = pool.miner.events
    assert failed == LinkFailed(None, f"frame of {most + 1} bytes, at most {most}")


def test_one_bit_altered_on_the_wire_ends_the_connection() -> None:
    pool = mining()
    sealed = bytearray(pool.link.seal(Frame(0x21, bytes(36))))
    sealed[30] ^= 1

    pool.miner.receive(bytes(sealed))
    pool.miner.receive(b"anything")

    (failed,) = pool.miner.events
    assert isinstance(failed, LinkFailed)
    assert failed.info is None
