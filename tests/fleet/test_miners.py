"""The pool alone as a test double: miners of others, and its control port."""

import json
import re
import shlex
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from softaxe.errors import StratumError
from softaxe.fleet.options import FleetOptions, PoolOptions
from softaxe.stratum.v2 import messages as v2
from softaxe.stratum.v2.frames import FrameLink
from softaxe.stratum.v2.messages import Message
from softaxe.stratum.v2.noise import (
    ANSWER_BYTES,
    Initiator,
    KeyPair,
    read_authority,
)
from softaxe.stratum.vardiff import LOWEST_DIFFICULTY
from softaxe.testing.run import RunningFleet, running

ROOT = Path(__file__).parents[2]
M = TypeVar("M", bound=Message)
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def pool() -> Iterator[RunningFleet]:
    options = FleetOptions(
        state=Path(),
        groups=(),
        port=0,
        pool_port=0,
        has_pool=True,
        pool=PoolOptions(
            start_difficulty=LOWEST_DIFFICULTY, place=("127.0.0.1", 0), has_v2=True
        ),
        control="127.0.0.1:0",
        is_paused=True,
    )
    with RunningFleet(options, is_ephemeral=True, warm_up_s=0.0) as running:
        yield running


@pytest.fixture
def api(pool: RunningFleet) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=pool.control_url, timeout=60) as client:
        yield client
        client.delete("/control/faults")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


class PlainMiner:
    """Speaks v1 on a plain socket."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        host, _, port = url.removeprefix("stratum+tcp://").rpartition(":")
        place = host, int(port)
        self.sock = stack.enter_context(socket.create_connection(place, PATIENCE_S))
        self.id = "{}:{}".format(*self.sock.getsockname())
        self._lines = stack.enter_context(self.sock.makefile("rb"))

    def begin(self) -> str:
        """Begin to mine; return the extranonce1."""
        extranonce1: str = self.ask("subscribe", "testminer/1.0")["result"][1]
        self.ask("authorize", "me.rig", "x")
        self.hear("mining.notify")
        return extranonce1

    def ask(self, method: str, *params: object) -> dict[str, Any]:
        request = {"id": 1, "method": f"mining.{method}", "params": params}
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        while (said := self.line()).get("id") != 1:
            pass
        return said

    def hear(self, method: str) -> list[Any]:
        """Wait for this; return what was said with it."""
        while (said := self.line()).get("method") != method:
            pass
        found: list[Any] = said["params"]
        return found

    def line(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw())
        return found

    def raw(self) -> bytes:
        return self._lines.readline()


class V2Miner:
    """Speaks v2."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        place, _, key = url.removeprefix("stratum2+tcp://").partition("/")
        host, _, port = place.rpartition(":")
        address = host, int(port)
        self.sock = stack.enter_context(socket.create_connection(address, PATIENCE_S))
        self.id = "{}:{}".format(*self.sock.getsockname())
        self._heard: list[Message] = []
        miner = Initiator(KeyPair.draw(Random(1)), authority=read_authority(key))
        self.sock.sendall(miner.hello)
        answer = self.sock.recv(ANSWER_BYTES, socket.MSG_WAITALL)
        self._link = FrameLink(miner.finish(answer), most_payload_bytes=1 << 14)

    def begin(self) -> v2.OpenExtendedMiningChannelSuccess:
        """Begin to mine on one channel."""
        self.say(v2.SetupConnection(0, 2, 2, 0, "h", 1, "maker", "rig", "1.0", ""))
        self.hear(v2.SetupConnectionSuccess)
        self.say(v2.OpenExtendedMiningChannel(1, "me", 0.0, v2.ANY_TARGET, 2))
        opened = self.hear(v2.OpenExtendedMiningChannelSuccess)
        self.hear(v2.SetNewPrevHash)
        self.hear(v2.NewExtendedMiningJob)  # the one told ahead
        return opened

    def say(self, said: Message) -> None:
        self.sock.sendall(self._link.seal(v2.frame(said)))

    def hear(self, kind: type[M]) -> M:
        """Wait for one of these.

        Raises:
            StratumError: What came was no frame.
        """
        while True:
            while not self._heard:
                for frame in self._link.feed(self.sock.recv(1 << 14)):
                    self._heard.append(v2.read(frame, v2.MESSAGES[frame.kind]))
            said = self._heard.pop(0)
            if isinstance(said, kind):
                return said


def urls_of(api: httpx.Client) -> tuple[str, str]:
    """Where it speaks v1 and v2."""
    urls = api.get("/control/pool").json()["urls"]
    plain, second = (
        next(url for url in urls if url.startswith(f"{scheme}://"))
        for scheme in ("stratum+tcp", "stratum2+tcp")
    )
    return plain, second


@pytest.fixture
def plain(api: httpx.Client, stack: ExitStack) -> PlainMiner:
    return PlainMiner(urls_of(api)[0], stack)


@pytest.fixture
def miner(api: httpx.Client, stack: ExitStack) -> V2Miner:
    made = V2Miner(urls_of(api)[1], stack)
    made.begin()
    return made


def row(api: httpx.Client, miner_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/control/pool/miners/{miner_id}").json()
    return found


def do(api: httpx.Client, miner_id: str, deed: str, **members: object) -> None:
    place = f"/control/pool/miners/{miner_id}/deeds"
    answer = api.post(place, json={"deed": deed, **members})
    assert answer.status_code == 200, answer.text


def order(api: httpx.Client, effect: str, **members: object) -> int:
    answer = api.post("/control/faults", json={"effect": effect, **members})
    assert answer.status_code == 201, answer.text
    matches: int = answer.json()["matches"]
    return matches


def advance(api: httpx.Client, seconds: float) -> None:
    api.post("/control/clock/advance", json={"seconds": seconds}).raise_for_status()


def test_a_plain_miner_is_told_of_with_its_shares(
    api: httpx.Client, plain: PlainMiner
) -> None:
    extranonce1 = plain.ask("subscribe", "testminer/1.0")["result"][1]
    assert row(api, plain.id)["workers"] == []
    plain.ask("authorize", "me.rig", "x")
    job = plain.hear("mining.notify")

    share = "me.rig", job[0], "00" * 8, job[7], "00000000"
    assert plain.ask("submit", *share)["result"] is True
    assert plain.ask("submit", *share)["error"][1] == "Duplicate share"
    advance(api, 10)

    found = row(api, plain.id)
    (worker,) = found.pop("workers")
    assert found.pop("connectedAt") <= api.get("/control/clock").json()["now"]
    assert found == {
        "id": plain.id,
        "device": None,
        "protocol": "v1",
        "agent": "testminer/1.0",
    }
    assert worker.pop("hashRate") > 0
    assert worker.pop("bestDifficulty") > 0
    assert worker == {
        "user": "me.rig",
        "channel": None,
        "channelKind": None,
        "difficulty": LOWEST_DIFFICULTY,
        "extranonce1": extranonce1,
        "extranonce2Size": 8,
        "sharesAccepted": 1,
        "sharesRejected": {"Duplicate share": 1},
    }
    told = api.get("/control/pool").json()
    assert told["protocols"]["v1"]["sharesAccepted"] == told["sharesAccepted"] == 1
    families = {
        f.name: f for f in text_string_to_metric_families(api.get("/metrics").text)
    }
    shares = {
        tuple(sorted(one.labels.values())): one.value
        for one in families["softaxe_pool_shares"].samples
    }
    assert shares["", "accepted", "v1"] == 1
    assert shares["Duplicate share", "rejected", "v1"] == 1
    assert shares["", "accepted", "v2"] == 0


def test_all_miners_are_told_of_a_new_block_while_time_stands_still(
    api: httpx.Client, stack: ExitStack
) -> None:
    miners = [PlainMiner(urls_of(api)[0], stack) for _ in range(3)]
    for one in miners:
        one.begin()
    height = api.get("/control/pool").json()["height"]

    assert api.post("/control/pool/blocks").json()["height"] == height + 1

    assert [one.hear("mining.notify")[8] for one in miners] == [True] * 3


def test_one_miner_gets_another_difficulty(
    api: httpx.Client, plain: PlainMiner
) -> None:
    plain.begin()
    place = f"/control/pool/miners/{plain.id}"

    told = api.patch(place, json={"difficulty": 0.5}).json()

    assert told["workers"][0]["difficulty"] == 0.5
    assert plain.hear("mining.set_difficulty") == [0.5]
    answer = api.patch(place, json={"difficulty": "hard"})
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "difficulty: 'hard' is no number"},
    )


def test_one_miner_is_disconnected(api: httpx.Client, plain: PlainMiner) -> None:
    plain.begin()
    place = f"/control/pool/miners/{plain.id}"

    assert api.delete(place).status_code == 200
    assert plain.raw() == b""
    answer = api.delete(place)
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": f"miner: there is no '{plain.id}'"},
    )


def test_what_happens_once_is_seen_by_a_plain_miner(
    api: httpx.Client, plain: PlainMiner
) -> None:
    plain.begin()

    do(api, plain.id, "reconnect", host="pool.example", port=4444)
    assert plain.hear("client.reconnect") == ["pool.example", 4444, 0]
    do(api, plain.id, "reconnect")
    assert plain.hear("client.reconnect") == []
    do(api, plain.id, "flood", jobs=30)
    assert len({plain.hear("mining.notify")[0] for _ in range(30)}) == 30
    do(api, plain.id, "replay_message")
    assert plain.raw() == plain.raw()
    plain.ask("extranonce.subscribe")
    do(api, plain.id, "change_extranonce")
    before = plain.hear("mining.set_extranonce")[0]
    assert row(api, plain.id)["workers"][0]["extranonce1"] == before
    plain.hear("mining.notify")
    do(api, plain.id, "truncate_message")
    do(api, plain.id, "flood", jobs=1)
    with pytest.raises(json.JSONDecodeError):
        plain.line()


@pytest.mark.parametrize(
    ("deed", "complaint"),
    [
        ({"deed": "nothing"}, "deed: 'nothing' is none of reconnect, change_ext"),
        ({"deed": "flood", "jobs": 0}, "jobs: 0 is no whole number of 1..100"),
        ({"deed": "close_channels", "reason": "ä" * 128}, "reason: 256 bytes are mo"),
        ({"deed": "regroup"}, "deed: regroup is for miners with open channels of"),
        ({"deed": "close_channels"}, "deed: close_channels is for miners with open"),
        ({"deed": "change_extranonce"}, "deed: change_extranonce is for miners that"),
    ],
)
def test_what_cannot_be_done_is_refused(
    api: httpx.Client, plain: PlainMiner, deed: dict[str, object], complaint: str
) -> None:
    plain.begin()

    answer = api.post(f"/control/pool/miners/{plain.id}/deeds", json=deed)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(complaint)


def test_a_miner_that_does_not_mine_yet_is_left_alone(
    api: httpx.Client, plain: PlainMiner
) -> None:
    plain.ask("ping")
    answer = api.post(f"/control/pool/miners/{plain.id}/deeds", json={"deed": "flood"})

    assert answer.status_code == 400
    assert "flood is for miners that get jobs" in answer.text


def test_a_block_is_told_late(
    api: httpx.Client, plain: PlainMiner, miner: V2Miner
) -> None:
    plain.begin()
    assert order(api, "pool_late_blocks", late_s=30, device=plain.id) == 1
    assert order(api, "pool_late_blocks", late_s=20, device=miner.id) == 1

    api.post("/control/pool/blocks")
    advance(api, 19)
    share = "me.rig", "1", "00" * 8, "00000000", "00000000"
    assert plain.ask("submit", *share)["error"][1] == "Job not found"
    advance(api, 2)
    miner.hear(v2.SetNewPrevHash)
    assert plain.ask("submit", *share)["error"][1] == "Job not found"
    advance(api, 10)
    assert plain.hear("mining.notify")[8] is True


def test_a_miner_of_v2_is_told_of(api: httpx.Client, stack: ExitStack) -> None:
    miner = V2Miner(urls_of(api)[1], stack)
    opened = miner.begin()

    found = row(api, miner.id)

    (worker,) = found["workers"]
    assert (found["protocol"], found["agent"]) == ("v2", "maker/rig/1.0")
    assert (worker["user"], worker["channelKind"]) == ("me", "extended")
    assert worker["channel"] == opened.channel_id
    assert worker["extranonce1"] == opened.extranonce_prefix.hex()
    assert worker["extranonce2Size"] == opened.extranonce_size
    listed = api.get("/control/pool/miners?limit=1&offset=0").json()
    assert listed["total"] >= len(listed["miners"]) == 1


def test_what_happens_once_is_seen_by_a_miner_of_v2(
    api: httpx.Client, miner: V2Miner
) -> None:
    do(api, miner.id, "reconnect", host="pool.example", port=4444)
    assert miner.hear(v2.Reconnect) == v2.Reconnect("pool.example", 4444)
    do(api, miner.id, "flood", jobs=30)
    jobs = [miner.hear(v2.NewExtendedMiningJob).job_id for _ in range(30)]
    assert len(set(jobs)) == 30
    do(api, miner.id, "change_extranonce")
    prefix = miner.hear(v2.SetExtranoncePrefix).extranonce_prefix.hex()
    assert row(api, miner.id)["workers"][0]["extranonce1"] == prefix
    do(api, miner.id, "regroup")
    assert miner.hear(v2.SetGroupChannel).channel_ids
    do(api, miner.id, "close_channels", reason="maintenance")
    assert miner.hear(v2.CloseChannel).reason_code == "maintenance"
    assert row(api, miner.id)["workers"] == []
    answer = api.patch(f"/control/pool/miners/{miner.id}", json={"difficulty": 1})
    assert answer.status_code == 400
    assert answer.json()["error"] == f"difficulty: {miner.id} has no open channel"


@pytest.mark.parametrize("deed", ["truncate_message", "replay_message"])
def test_a_frame_that_is_cut_or_comes_twice_cannot_be_read(
    api: httpx.Client, miner: V2Miner, deed: str
) -> None:
    do(api, miner.id, deed)
    do(api, miner.id, "flood", jobs=1)

    with pytest.raises(StratumError, match="not encrypted by the peer, or not in turn"):
        miner.hear(v2.NewExtendedMiningJob)


def test_who_connects_is_shown_a_certificate_of_another_authority(
    api: httpx.Client, stack: ExitStack
) -> None:
    _, url = urls_of(api)
    order(api, "pool_certificate", how="wrong key", group="strangers")
    with pytest.raises(StratumError, match="is not of the authority"):
        V2Miner(url, stack)

    api.delete("/control/faults")
    order(api, "pool_certificate", how="expired")
    V2Miner(url, stack).begin()


def test_devices_are_told_of_as_they_see_it() -> None:
    with running(speed=0) as fleet:
        fleet.clock.advance(200)
        (found,) = fleet.pool.miners
        (worker,) = found["workers"]
        info = fleet.info()

    assert found["device"] == "601-1"
    assert found["agent"] == "bitaxe/BM1370/v2.12.2"
    assert worker["difficulty"] == info["poolDifficulty"] == 1000
    assert worker["sharesAccepted"] == info["sharesAccepted"]
    assert worker["hashRate"] == pytest.approx(1071, rel=0.45), "of some 50 shares"


def test_the_lines_of_the_documentation_work_as_they_are_written(
    api: httpx.Client, plain: PlainMiner
) -> None:
    plain.begin()
    page = (ROOT / "docs" / "pools.md").read_text(encoding="utf-8")
    section = page.partition("## A pool for your tests")[2]
    lines = re.findall(r"^curl .*", section, re.MULTILINE)
    assert len(lines) > 15
    for line in lines:
        words = shlex.split(line.replace("$M", plain.id), comments=True)
        path = next(word for word in words if word.startswith("$C")).removeprefix("$C")
        if path == "/control/shutdown":
            continue
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        body = words[words.index("-d") + 1] if "-d" in words else None
        answer = api.request(method, path, content=body)
        assert answer.is_success, f"{line}: {answer.text}"
    for row in api.get("/control/devices").json()["devices"]:
        api.delete(f"/control/devices/{row['id']}")
    api.patch("/control/clock", json={"paused": True, "speed": 1})
