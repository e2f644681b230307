"""Both ends of Stratum v2 on a wire."""

from random import Random

from softaxe.bitcoin.header import (
    Work,
    coinbase_transaction,
    difficulty_of,
    merkle_root,
    sha256d,
)
from softaxe.catalog.firmware import firmware
from softaxe.stratum.session import Event, NotifyReceived
from softaxe.stratum.v2 import messages
from softaxe.stratum.v2.frames import MOST_PAYLOAD_BYTES, Frame, FrameLink
from softaxe.stratum.v2.messages import Message
from softaxe.stratum.v2.noise import (
    HELLO_BYTES,
    Authority,
    Initiator,
    KeyPair,
    Responder,
)
from softaxe.stratum.v2.session import Session
from softaxe.units import Level

AUTHORITY = Authority(Random(7))


def linked(*, most_payload_bytes: int = MOST_PAYLOAD_BYTES) -> tuple[FrameLink, ...]:
    """A pool's end, and a miner's that takes messages up to a length."""
    rng = Random(1)
    miner, static = Initiator(KeyPair.draw(rng), authority=None), KeyPair.draw(rng)
    pool = Responder(
        static=static,
        certificate=AUTHORITY.certify(static.public),
        keys=KeyPair.draw(rng),
    )
    answer, ciphers = pool.answer(miner.hello)
    return (
        FrameLink(ciphers, most_payload_bytes=MOST_PAYLOAD_BYTES),
        FrameLink(miner.finish(answer), most_payload_bytes=most_payload_bytes),
    )


class Miner:
    """A device's session and what it said and told."""

    def __init__(
        self,
        *,
        version: str = "2.15",
        is_extended: bool = True,
        authority: str = AUTHORITY.text,
        needs_authority: bool = False,
        scale: int = 1,
    ) -> None:
        self.lines: list[str] = []
        self.events: list[Event] = []
        self.session = Session(
            rows=firmware(version).rows,
            asic_model="BM1370",
            host="pool.example",
            port=3333,
            user="u",
            is_extended=is_extended,
            authority=authority,
            needs_authority=needs_authority,
            scale=scale,
            rng=Random(2),
            log=self._log,
        )

    def _log(self, level: Level, tag: str, text: str) -> None:
        assert tag == "stratum_v2_task"
        self.lines.append(f"{level} {text}")

    def receive(self, data: bytes, now: float = 0.0) -> None:
        self.session.receive(data, now)
        self.events += self.session.events()

    @property
    def jobs(self) -> list[NotifyReceived]:
        return [event for event in self.events if isinstance(event, NotifyReceived)]


class ScriptedPool:
    """A pool that says what it is told to, to a miner that has connected."""

    def __init__(self, miner: Miner, *, authority: Authority = AUTHORITY) -> None:
        self.miner = miner
        rng = Random(3)
        static = KeyPair.draw(rng)
        responder = Responder(
            static=static,
            certificate=authority.certify(static.public),
            keys=KeyPair.draw(rng),
        )
        miner.session.connected(0.0)
        hello = miner.session.data_to_send()
        assert len(hello) == HELLO_BYTES
        answer, ciphers = responder.answer(hello)
        self.link = FrameLink(ciphers, most_payload_bytes=MOST_PAYLOAD_BYTES)
        miner.receive(answer)

    def say(self, *said: Message | Frame, now: float = 0.0) -> None:
        frames = (
            one if isinstance(one, Frame) else messages.frame(one) for one in said
        )
        self.miner.receive(b"".join(map(self.link.seal, frames)), now)

    def hear(self, now: float = 0.0) -> list[str]:
        """What the miner has said since, in plain hex."""
        data = self.miner.session.data_to_send(now)
        return [bytes(frame).hex() for frame in self.link.feed(data)]


def search(
    job: NotifyReceived, *, scale: int, extranonce2: bytes = b"", bits: int = 0
) -> int:
    """Find a nonce that the pool takes, at a difficulty far below 1."""
    notify, given = job.notify, job.extranonce
    assert given is not None
    root = notify.merkle_root
    if root is None:
        coinbase = coinbase_transaction(
            notify.coinbase1, given.extranonce1, extranonce2, notify.coinbase2
        )
        root = merkle_root(sha256d(coinbase), notify.merkle_branch)
    version = notify.version ^ bits
    work = Work(version, notify.prevhash, root, notify.ntime, notify.nbits)
    return first_nonce(work, job.pool_difficulty / scale)


def first_nonce(work: Work, difficulty: float) -> int:
    """The first with a hash that is good enough."""
    return next(
        nonce
        for nonce in range(1 << 16)
        if difficulty_of(sha256d(work.header(nonce))) >= difficulty
    )
