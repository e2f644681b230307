from collections.abc import Iterator
from random import Random

import pytest
from tests.stratum.v2.wires import Miner, first_nonce, search

from softaxe.bitcoin.header import (
    DIFFICULTY_1_TARGET,
    Work,
    coinbase_transaction,
    extranonce2_bytes,
    merkle_root,
    sha256d,
    target_for,
)
from softaxe.stratum.pool import (
    MAX_WORKERS_PER_CONNECTION,
    NO_POOL_FAULTS,
    CertificateFault,
    Pool,
    PoolFaults,
    Seat,
)
from softaxe.stratum.session import (
    DifficultySet,
    Event,
    LinkFailed,
    ShareAccepted,
    ShareRejected,
)
from softaxe.stratum.v2 import messages
from softaxe.stratum.v2.frames import MOST_PAYLOAD_BYTES, Frame, FrameLink
from softaxe.stratum.v2.messages import (
    ANY_TARGET,
    CloseChannel,
    M,
    Message,
    NewExtendedMiningJob,
    NewMiningJob,
    OpenExtendedMiningChannel,
    OpenExtendedMiningChannelSuccess,
    OpenMiningChannelError,
    OpenStandardMiningChannel,
    OpenStandardMiningChannelSuccess,
    Reconnect,
    SetExtranoncePrefix,
    SetGroupChannel,
    SetNewPrevHash,
    SetTarget,
    SetupConnection,
    SetupConnectionError,
    SetupConnectionSuccess,
    SubmitSharesError,
    SubmitSharesExtended,
    SubmitSharesStandard,
    SubmitSharesSuccess,
    UpdateChannel,
    UpdateChannelError,
)
from softaxe.stratum.v2.noise import Initiator, KeyPair
from softaxe.stratum.v2.pool import Entrance

EASY = 2.0**-26
"""A share in 64 hashes."""
SCALE = 2**37
"""So that what a device says of its rate asks for shares that are easy as well."""


def make_pool(*, network_difficulty: float = 1.0) -> Pool:
    return Pool(
        smallest_difficulty=2.0**-32,
        seed=1,
        start_difficulty=EASY,
        network_difficulty=network_difficulty,
        block_interval_s=1e9,
        transaction_interval_s=10.0,
    )


class Device:
    """A device's session on the pool."""

    def __init__(
        self,
        entrance: Entrance,
        *,
        is_extended: bool = True,
        version: str = "2.15",
        faults: PoolFaults = NO_POOL_FAULTS,
    ) -> None:
        authority = entrance.authority.text
        self.miner = Miner(
            version=version,
            is_extended=is_extended,
            authority=authority,
            scale=SCALE,
        )
        self.session = self.miner.session
        self.connection = entrance.connect(0.0, "device")
        self.connection.set_faults(faults, 0.0)
        self.session.connected(0.0)
        self.talk()

    def talk(self, now: float = 0.0) -> None:
        while data := self.session.data_to_send(now):
            self.connection.receive(data, now)
            self.hear(now)
        self.hear(now)

    def hear(self, now: float = 0.0) -> None:
        self.miner.receive(self.connection.data_to_send(), now)


class Client:
    """A miner that says what it is told to."""

    def __init__(self, entrance: Entrance, *, flags: int | None = 0) -> None:
        self.connection = entrance.connect(0.0, "client")
        initiator = Initiator(
            KeyPair.draw(Random(5)), authority=entrance.authority.public
        )
        self.connection.receive(initiator.hello, 0.0)
        ciphers = initiator.finish(self.connection.data_to_send())
        self.link = FrameLink(ciphers, most_payload_bytes=MOST_PAYLOAD_BYTES)
        self.heard: list[Message] = []
        if flags is not None:
            self.say(setup(flags))
            assert self.take(SetupConnectionSuccess) == SetupConnectionSuccess(2, 0)

    def say(self, *said: Message | Frame, now: float = 0.0) -> None:
        for one in said:
            frame = one if isinstance(one, Frame) else messages.frame(one)
            self.connection.receive(self.link.seal(frame), now)
        self.hear()

    def hear(self) -> None:
        for frame in self.link.feed(self.connection.data_to_send()):
            self.heard.append(messages.read(frame, messages.MESSAGES[frame.kind]))

    def take(self, kind: type[M]) -> M:
        """The next message, which is of this kind."""
        message = self.heard.pop(0)
        assert isinstance(message, kind)
        return message

    def open_extended(self, *, size: int = 0) -> OpenExtendedMiningChannelSuccess:
        self.say(OpenExtendedMiningChannel(1, "u", 0.0, ANY_TARGET, size))
        return self.take(OpenExtendedMiningChannelSuccess)

    def open_extended_after(self) -> OpenExtendedMiningChannelSuccess:
        """Open one and hear its first jobs."""
        opened = self.open_extended()
        self.heard.clear()
        return opened

    def open_standard(self) -> OpenStandardMiningChannelSuccess:
        self.say(OpenStandardMiningChannel(2, "u", 0.0, ANY_TARGET))
        return self.take(OpenStandardMiningChannelSuccess)


def setup(
    flags: int = 0, *, protocol: int = 0, least: int = 2, most: int = 2
) -> SetupConnection:
    return SetupConnection(protocol, least, most, flags, "h", 1, "v", "hw", "", "")


@pytest.fixture
def entrance() -> Entrance:
    return Entrance(make_pool())


def shares(device: Device) -> Iterator[tuple[str, bytes, int, int, int]]:
    """Good shares of the latest job, one for each extranonce."""
    job = device.miner.jobs[-1]
    assert job.extranonce is not None
    for counter in range(1000):
        extranonce2 = (
            counter if (size := job.extranonce.extranonce2_size) else 0
        ).to_bytes(size)
        bits = counter << 13 & 0x1FFFE000
        nonce = search(job, scale=SCALE, extranonce2=extranonce2, bits=bits)
        yield job.notify.job_id, extranonce2, job.notify.ntime, nonce, bits


def submit(device: Device, share: tuple[str, bytes, int, int, int]) -> None:
    job_id, extranonce2, ntime, nonce, bits = share
    device.session.submit(
        job_id=job_id,
        extranonce2=extranonce2,
        ntime=ntime,
        nonce=nonce,
        version_bits=bits,
        now=1.0,
    )
    device.talk(1.0)


def reply(device: Device) -> Event:
    """The last that the device was told."""
    return device.miner.events[-1]


@pytest.mark.parametrize("version", ["2.14", "2.15"])
@pytest.mark.parametrize("is_extended", [True, False])
def test_a_devices_shares_are_taken_once_and_unaltered(
    entrance: Entrance, version: str, is_extended: bool
) -> None:
    device = Device(entrance, is_extended=is_extended, version=version)
    good = shares(device)
    share = next(good)
    job_id, extranonce2, ntime, nonce, bits = next(good)

    submit(device, share)
    submit(device, share)
    submit(device, (job_id, extranonce2, ntime, nonce ^ 1 << 31, bits))
    submit(device, (job_id, extranonce2, ntime, nonce, bits))

    replies = device.miner.events[-4:]
    assert replies == [
        ShareAccepted(1),
        ShareRejected("duplicate-share"),
        ShareRejected("difficulty-too-low"),
        ShareAccepted(1),
    ]
    statistics = entrance.pool.workers["u"]
    assert statistics.accepted == entrance.pool.accepted == 2
    assert statistics.rejected == {"duplicate-share": 1, "difficulty-too-low": 1}
    assert statistics.best_difficulty >= EASY / 2


def test_the_extranonce_of_a_device_counts_in_the_pools_part(
    entrance: Entrance,
) -> None:
    devices = [Device(entrance) for _ in range(3)]

    given = {device.miner.jobs[0].extranonce for device in devices}

    assert len(given) == 3
    assert {one.extranonce2_size for one in given if one} == {8}
    assert extranonce2_bytes(1, 8) != (1).to_bytes(8)  # v1 counts the other way


@pytest.mark.parametrize("is_extended", [True, False])
def test_a_new_block_begins_with_a_job_told_before(
    entrance: Entrance, is_extended: bool
) -> None:
    device = Device(entrance, is_extended=is_extended)
    old = next(shares(device))
    pool = entrance.pool

    pool.new_block(1.0)
    device.talk(1.0)

    first, ahead, full = device.miner.jobs
    assert [job.notify.job_id for job in (first, ahead, full)] == ["1", "2", "3"]
    assert first.notify.prevhash != ahead.notify.prevhash == full.notify.prevhash
    assert pool.chain.template.prevhash == full.notify.prevhash
    submit(device, old)
    assert reply(device) == ShareRejected("stale-share")
    device.miner.events.remove(full)  # it still mines on the one without transactions
    submit(device, next(shares(device)))
    assert reply(device) == ShareAccepted(1)


def test_transactions_give_a_job_that_begins_at_once(entrance: Entrance) -> None:
    device = Device(entrance)
    pool = entrance.pool

    pool.step(11.0)
    device.talk(11.0)

    first, second = (job.notify for job in device.miner.jobs)
    assert first.prevhash == second.prevhash
    assert second.ntime == first.ntime + 10
    submit(device, next(shares(device)))
    assert reply(device) == ShareAccepted(1)


def test_a_block_of_ours_is_one_for_everybody() -> None:
    entrance = Entrance(make_pool(network_difficulty=2.0**-28))
    finder, other = Device(entrance), Device(entrance, is_extended=False)
    v1 = entrance.pool.connect(0.0, "v1")
    height = entrance.pool.height

    submit(finder, next(shares(finder)))
    entrance.pool.step(2.0)
    other.talk(2.0)

    assert entrance.pool.blocks_found == 1
    assert entrance.pool.height == height + 1
    prevhash = entrance.pool.chain.template.prevhash
    assert finder.miner.jobs[-1].notify.prevhash == prevhash
    assert other.miner.jobs[-1].notify.prevhash == prevhash
    assert v1 in entrance.pool.connections


def test_a_block_may_be_ordered(entrance: Entrance) -> None:
    device = Device(entrance)

    device.connection.set_faults(PoolFaults(is_block_next=True), 1.0)
    device.talk(1.0)
    submit(device, next(shares(device)))

    assert entrance.pool.blocks_found == 1
    assert reply(device) != ShareRejected("difficulty-too-low")


def test_the_difficulty_follows_the_shares(entrance: Entrance) -> None:
    device = Device(entrance)
    before = device.session.pool_difficulty

    entrance.pool.step(21.0)
    device.talk(21.0)

    easier = before / 16
    assert device.session.pool_difficulty == easier
    assert DifficultySet(easier) in device.miner.events
    assert device.miner.jobs[-1].pool_difficulty == easier
    submit(device, next(shares(device)))
    assert reply(device) == ShareAccepted(1)


@pytest.mark.parametrize(
    ("faults", "code"),
    [(PoolFaults(refusal="no"), "no"), (PoolFaults(is_stale=True), "stale-share")],
)
def test_shares_may_be_refused_on_order(
    entrance: Entrance, faults: PoolFaults, code: str
) -> None:
    device = Device(entrance)
    share = next(shares(device))

    device.connection.set_faults(faults, 1.0)
    submit(device, share)
    device.connection.set_faults(NO_POOL_FAULTS, 1.0)
    submit(device, share)

    assert device.miner.events[-2:] == [ShareRejected(code), ShareAccepted(1)]


def test_a_difficulty_may_be_ordered_and_a_reconnect(entrance: Entrance) -> None:
    client = Client(entrance)
    client.open_extended()
    client.heard.clear()

    client.connection.set_faults(PoolFaults(difficulty=2.0, reconnects=1), 1.0)
    client.hear()

    assert client.take(Reconnect) == Reconnect("", 0)
    assert client.take(SetTarget).maximum_target == target_for(2.0)
    assert client.take(NewExtendedMiningJob).min_ntime is not None


def test_a_certificate_that_has_expired_is_taken_and_a_strange_one_is_not(
    entrance: Entrance,
) -> None:
    expired = PoolFaults(certificate=CertificateFault.EXPIRED)
    assert Device(entrance, faults=expired).miner.jobs
    static = entrance.static.public
    shown = entrance.certificate(expired.certificate)
    assert shown.not_valid_after == 1
    assert shown.is_signed_by(entrance.authority.public, static)

    wrong = PoolFaults(certificate=CertificateFault.WRONG_KEY)
    device = Device(entrance, faults=wrong)

    (failed,) = device.miner.events
    assert isinstance(failed, LinkFailed)
    assert failed.info == "SV2: Auth failed - check key"


@pytest.mark.parametrize(
    ("said", "flags", "code"),
    [
        (setup(protocol=1), 0, "unsupported-protocol"),
        (setup(least=3, most=4), 0, "protocol-version-mismatch"),
        (setup(least=1, most=1), 0, "protocol-version-mismatch"),
        (setup(7), 2, "unsupported-feature-flags"),
    ],
)
def test_a_set_up_may_be_refused(
    entrance: Entrance, said: SetupConnection, flags: int, code: str
) -> None:
    client = Client(entrance, flags=None)

    client.say(said)

    assert client.take(SetupConnectionError) == SetupConnectionError(flags, code)
    assert client.connection.wants_close


@pytest.mark.parametrize(
    ("opening", "code"),
    [
        (OpenStandardMiningChannel(4, "", 0.0, 1), "unknown-user"),
        (OpenStandardMiningChannel(4, "u\n", 0.0, 1), "unknown-user"),
        (OpenStandardMiningChannel(4, "u", -1.0, 1), "invalid-nominal-hashrate"),
        (
            OpenStandardMiningChannel(4, "u", float("nan"), 1),
            "invalid-nominal-hashrate",
        ),
        (OpenStandardMiningChannel(4, "u", 0.0, 0), "max-target-out-of-range"),
        (
            OpenExtendedMiningChannel(4, "u", 0.0, 1, 29),
            "min-extranonce-size-too-large",
        ),
    ],
)
def test_a_channel_may_be_refused(
    entrance: Entrance, opening: Message, code: str
) -> None:
    client = Client(entrance)

    client.say(opening)

    assert client.take(OpenMiningChannelError) == OpenMiningChannelError(4, code)
    assert not client.connection.is_mining
    assert not entrance.pool.workers


def test_a_connection_has_so_many_channels(entrance: Entrance) -> None:
    client = Client(entrance)

    for _ in range(MAX_WORKERS_PER_CONNECTION + 1):
        client.say(OpenStandardMiningChannel(1, "u", 0.0, ANY_TARGET))

    assert client.heard[-1] == OpenMiningChannelError(1, "too-many-channels")
    assert entrance.pool.workers["u"].connections == MAX_WORKERS_PER_CONNECTION


def test_all_connections_have_so_many_channels(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softaxe.stratum.pool.MAX_WORKERS", 2)
    first, second = Client(entrance), Client(entrance)
    for client in (first, second, second):
        client.say(OpenStandardMiningChannel(1, "u", 0.0, ANY_TARGET))
    assert second.heard[-1] == OpenMiningChannelError(1, "too-many-channels")

    first.connection.closed(0.0)
    second.say(OpenStandardMiningChannel(2, "u", 0.0, ANY_TARGET))

    assert len(second.connection.channels) == 2


def test_a_miner_may_ask_for_a_longer_extranonce_and_a_harder_target(
    entrance: Entrance,
) -> None:
    client = Client(entrance)

    client.say(OpenExtendedMiningChannel(1, "u", 0.0, DIFFICULTY_1_TARGET // 4, 28))

    opened = client.take(OpenExtendedMiningChannelSuccess)
    assert opened.extranonce_size == 28
    assert len(opened.extranonce_prefix) == 4
    assert opened.target == DIFFICULTY_1_TARGET // 4


def test_a_rate_asks_for_its_difficulty(entrance: Entrance) -> None:
    client = Client(entrance)
    client.say(OpenStandardMiningChannel(1, "u", 2.0**30, ANY_TARGET))
    opened = client.take(OpenStandardMiningChannelSuccess)
    client.heard.clear()

    client.say(UpdateChannel(opened.channel_id, 2.0**29, ANY_TARGET))
    client.say(UpdateChannel(99, 1.0, 1), UpdateChannel(opened.channel_id, -1.0, 1))

    assert opened.target == target_for(1.0)  # 2**30 a second for 5 s, and rounded down
    assert client.take(SetTarget).maximum_target == target_for(0.5)
    assert isinstance(client.heard.pop(0), NewMiningJob)
    assert client.heard == [
        UpdateChannelError(99, "invalid-channel-id"),
        UpdateChannelError(opened.channel_id, "invalid-nominal-hashrate"),
    ]


def test_a_group_is_told_of_a_job_once(entrance: Entrance) -> None:
    client = Client(entrance)
    extended = client.open_extended_after()
    standard = client.open_standard()
    client.heard.clear()

    entrance.pool.step(11.0)
    client.hear()

    assert extended.group_channel_id == standard.group_channel_id
    job = client.take(NewExtendedMiningJob)
    assert not client.heard
    assert job.channel_id == extended.group_channel_id
    ours = (7).to_bytes(8)
    for prefix, extranonce in (
        (extended.extranonce_prefix, ours),
        (standard.extranonce_prefix, b""),
    ):
        share = found(entrance, job, prefix + extranonce)
        if extranonce:
            client.say(SubmitSharesExtended(extended.channel_id, 1, *share, ours))
        else:
            client.say(SubmitSharesStandard(standard.channel_id, 2, *share))
    assert client.heard == [
        SubmitSharesSuccess(extended.channel_id, 1, 1, 0),
        SubmitSharesSuccess(standard.channel_id, 2, 1, 0),
    ]


def test_a_miner_that_wants_standard_jobs_gets_no_other(entrance: Entrance) -> None:
    client = Client(entrance, flags=messages.REQUIRES_STANDARD_JOBS)
    client.open_standard()
    client.say(OpenStandardMiningChannel(3, "u", 0.0, ANY_TARGET))
    client.heard.clear()

    entrance.pool.new_block(1.0)
    entrance.pool.step(2.0)
    client.hear()

    kinds = [type(one) for one in client.heard]
    assert kinds == [SetNewPrevHash, NewMiningJob, NewMiningJob] * 2


def found(
    entrance: Entrance, job: NewExtendedMiningJob, extranonce: bytes
) -> tuple[int, int, int, int]:
    """Job, nonce, time and version of a share, made from what went over the wire."""
    template = entrance.pool.chain.template
    coinbase = coinbase_transaction(
        job.coinbase_prefix, extranonce, b"", job.coinbase_suffix
    )
    root = merkle_root(sha256d(coinbase), job.merkle_path)
    assert job.min_ntime is not None
    work = Work(job.version, template.prevhash, root, job.min_ntime, template.nbits)
    nonce = first_nonce(work, EASY)
    return job.job_id, nonce, job.min_ntime, job.version


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"channel_id": 99}, "invalid-channel-id"),
        ({"job_id": 99}, "invalid-job-id"),
        ({"ntime": 1}, "invalid-share"),
        ({"ntime": 0xFFFFFFFF}, "invalid-share"),
        ({"version": 0x20000001}, "version-rolling-not-allowed"),
        ({"extranonce": b"short"}, "bad-extranonce-size"),
        ({}, None),
    ],
)
def test_every_share_is_looked_at(
    entrance: Entrance, change: dict[str, object], code: str | None
) -> None:
    client = Client(entrance)
    opened = client.open_extended()
    entrance.pool.step(11.0)
    client.hear()
    job = client.heard[-1]
    assert isinstance(job, NewExtendedMiningJob)
    extranonce = bytes(opened.extranonce_size)
    job_id, nonce, ntime, version = found(
        entrance, job, opened.extranonce_prefix + extranonce
    )
    client.heard.clear()
    fields = {
        "channel_id": opened.channel_id,
        "sequence_number": 5,
        "job_id": job_id,
        "nonce": nonce,
        "ntime": ntime,
        "version": version,
        "extranonce": extranonce,
    } | change

    client.say(SubmitSharesExtended(**fields), now=11.0)  # type: ignore[arg-type]

    if code is None:
        assert client.heard == [SubmitSharesSuccess(opened.channel_id, 5, 1, 0)]
    else:
        channel_id = fields["channel_id"]
        assert client.heard == [SubmitSharesError(channel_id, 5, code)]  # type: ignore[arg-type]
        assert entrance.pool.totals.rejected == {code: 1}


def test_a_share_is_for_a_channel_of_its_kind(entrance: Entrance) -> None:
    client = Client(entrance)
    extended = client.open_extended()
    client.heard.clear()

    client.say(SubmitSharesStandard(extended.channel_id, 1, 1, 0, 0, 0))

    assert client.heard == [
        SubmitSharesError(extended.channel_id, 1, "invalid-channel-id")
    ]


def test_channels_end_on_either_sides_word(entrance: Entrance) -> None:
    client = Client(entrance)
    first, second, third = (client.open_extended_after() for _ in range(3))
    worker = entrance.pool.workers["u"]

    client.say(CloseChannel(first.channel_id, ""))
    assert worker.connections == 2
    assert client.connection.close_channels("maintenance")
    assert not client.connection.close_channels("there is none any more")
    client.hear()

    assert client.heard == [
        CloseChannel(second.channel_id, "maintenance"),
        CloseChannel(third.channel_id, "maintenance"),
    ]
    assert worker.connections == 0
    assert not client.connection.is_mining


def test_a_group_may_be_closed_and_made_anew(entrance: Entrance) -> None:
    client = Client(entrance)
    first, second = (client.open_extended_after() for _ in range(2))

    assert client.connection.regroup()
    client.hear()
    regrouped = client.take(SetGroupChannel)
    client.say(CloseChannel(regrouped.group_channel_id, ""))

    assert regrouped.group_channel_id != first.group_channel_id
    assert regrouped.channel_ids == (first.channel_id, second.channel_id)
    assert not client.connection.channels


def test_an_extranonce_may_be_changed(entrance: Entrance) -> None:
    client = Client(entrance)
    assert not client.connection.change_extranonce()
    opened = client.open_extended_after()

    assert client.connection.change_extranonce()
    client.hear()

    prefix = client.take(SetExtranoncePrefix).extranonce_prefix
    assert len(prefix) == len(opened.extranonce_prefix)
    assert prefix != opened.extranonce_prefix
    job = client.take(NewExtendedMiningJob)
    assert client.take(SetNewPrevHash).job_id == job.job_id


@pytest.mark.parametrize(
    "said",
    [
        Frame(0x10, b"cut"),
        setup(),
    ],
)
def test_a_miner_that_breaks_the_protocol_is_dropped(
    entrance: Entrance, said: Message | Frame
) -> None:
    client = Client(entrance)

    client.say(said)

    assert client.connection.wants_close


def test_a_miner_begins_with_the_set_up(entrance: Entrance) -> None:
    client = Client(entrance, flags=None)

    client.say(OpenStandardMiningChannel(1, "u", 0.0, ANY_TARGET))

    assert client.connection.wants_close
    assert not client.connection.channels


def test_noise_that_is_none_ends_the_connection(entrance: Entrance) -> None:
    connection = entrance.connect(0.0)

    connection.receive(bytes(64) + bytes(22), 0.0)

    assert connection.wants_close
    assert not connection.data_to_send()


def test_a_message_may_be_too_long_for_the_pool() -> None:
    client = Client(Entrance(make_pool(), most_payload_bytes=100))

    client.say(Frame(0x70, bytes(100)))
    assert not client.connection.wants_close
    client.say(Frame(0x70, bytes(101)))

    assert client.connection.wants_close


def test_a_silent_pool_neither_hears_nor_speaks(entrance: Entrance) -> None:
    device = Device(entrance)
    device.connection.set_silent(is_so=True)

    submit(device, next(shares(device)))
    entrance.pool.new_block(2.0)

    assert not device.connection.data_to_send()
    assert not entrance.pool.accepted


def test_a_miner_mines_on_when_its_silent_pool_speaks_again(entrance: Entrance) -> None:
    device = Device(entrance)
    device.connection.set_silent(is_so=True)
    submit(device, next(shares(device)))
    entrance.pool.new_block(2.0)

    device.connection.set_silent(is_so=False)
    device.talk()
    submit(device, next(shares(device)))

    assert entrance.pool.accepted == 1


def test_a_connection_that_ends_is_forgotten(entrance: Entrance) -> None:
    device = Device(entrance)

    device.connection.closed(1.0)
    device.connection.closed(2.0)
    entrance.pool.new_block(3.0)

    assert entrance.pool.connections == ()
    assert entrance.pool.workers["u"].connections == 0
    assert not device.connection.data_to_send()


def test_a_miner_that_does_not_read_is_dropped(entrance: Entrance) -> None:
    client = Client(entrance)
    client.open_extended()

    for _ in range(1000):
        client.connection.send_job(is_clean=False)

    assert client.connection.wants_close
    assert not client.connection.data_to_send()


def test_a_block_may_be_told_late(entrance: Entrance) -> None:
    device = Device(entrance)
    old = next(shares(device))

    device.connection.set_faults(PoolFaults(block_late_s=4.0), 1.0)
    entrance.pool.new_block(1.0)
    device.talk(1.0)
    submit(device, old)
    assert reply(device) == ShareRejected("stale-share")
    device.connection.set_difficulty(EASY * 2, 1.5)
    entrance.pool.new_block(4.9)
    device.talk(4.9)
    assert len(device.miner.jobs) == 1

    entrance.pool.step(5.0)
    device.talk(5.0)
    prevhash = entrance.pool.chain.template.prevhash
    assert device.miner.jobs[-1].notify.prevhash == prevhash
    submit(device, next(shares(device)))
    assert reply(device) == ShareAccepted(1)


def test_a_flood_of_jobs_leaves_the_latest_ten(entrance: Entrance) -> None:
    device = Device(entrance)

    device.connection.flood(100)
    device.talk(1.0)

    assert len(device.miner.jobs) == 101
    (channel,) = device.connection.channels.values()
    assert list(channel.jobs) == list(range(93, 103))
    submit(device, next(shares(device)))
    assert reply(device) == ShareAccepted(1)


def test_it_tells_who_mines_on_which_channel(entrance: Entrance) -> None:
    client = Client(entrance)
    opened = client.open_extended()
    (channel,) = client.connection.channels.values()

    assert client.connection.seats() == [
        Seat(
            "u",
            channel.worker,
            EASY,
            opened.extranonce_prefix,
            opened.extranonce_size,
            opened.channel_id,
            "extended",
        )
    ]
    assert (client.connection.protocol, client.connection.agent) == ("v2", "v/hw")


@pytest.mark.parametrize("deed", ["truncate_message", "replay_message"])
def test_a_frame_may_be_cut_or_come_twice(entrance: Entrance, deed: str) -> None:
    device = Device(entrance)

    getattr(device.connection, deed)()
    device.connection.send_job(is_clean=False)
    device.talk(1.0)

    assert reply(device) == LinkFailed(
        None, "not encrypted by the peer, or not in turn"
    )
