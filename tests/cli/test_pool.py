import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from tests.commands import command
from tests.each import each
from tests.running import wait_for
from typer.testing import CliRunner

from softaxe.bitcoin import kernel
from softaxe.bitcoin.header import (
    Work,
    coinbase_transaction,
    merkle_root,
    sha256d,
    target_for,
)
from softaxe.catalog.firmware import firmware
from softaxe.cli.commands import app
from softaxe.fleet.certificates import kept
from softaxe.stratum.messages import Message, Notify, parse
from softaxe.stratum.v2 import messages as v2
from softaxe.stratum.v2.frames import FrameLink
from softaxe.stratum.v2.noise import (
    ANSWER_BYTES,
    Initiator,
    KeyPair,
    read_authority,
)

Ports = Callable[..., int]


def test_real_shares_convince_a_pool_in_another_process(
    tmp_path: Path, free_ports: Ports
) -> None:
    pool_port, port = free_ports(), free_ports()
    pool = ("pool", "--port", str(pool_port), "--difficulty", "0.00003")
    with command(*pool) as pool_process:
        assert pool_process.stdout is not None
        arguments = (
            *("run", "--port", str(port), "--state", str(tmp_path), "--speed", "10"),
            *("--pool", f"127.0.0.1:{pool_port}", "--user", "me"),
            *("--cpu-percent", "30"),
        )
        with command(*arguments) as process:
            url = f"http://127.0.0.1:{port}/api/system"
            wait_for(f"{url}/info")
            # The factory setting suggests 1000, which a CPU reaches once in years.
            body = json.dumps({"stratumSuggestedDifficulty": 0})
            httpx.patch(url, content=body).raise_for_status()
            httpx.post(f"{url}/restart").raise_for_status()
            time.sleep(0.5)
            deadline = time.monotonic() + 300
            info = wait_for(f"{url}/info")
            while info["sharesAccepted"] < 3 or not info["hashRate"]:
                assert time.monotonic() < deadline, info
                time.sleep(0.2)
                info = wait_for(f"{url}/info")
            status = wait_for(f"http://127.0.0.1:{port}/softaxe/status.json")
            process.terminate()
            output, errors = process.communicate(timeout=60)

    assert status["work"] == "real"
    assert info["sharesRejected"] == 0
    assert 0 < info["hashRate"] < 1, "a CPU's rate, in GH/s"
    assert "work     real: a hash is a hash" in output
    assert errors == ""


def test_an_altered_share_is_refused_by_a_pool_in_another_process(
    free_ports: Ports,
) -> None:
    port = free_ports()
    with command("pool", "--port", str(port), "--difficulty", "1e-6") as pool:
        assert pool.stdout is not None
        while "Ctrl-C" not in pool.stdout.readline():
            pass
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            lines = sock.makefile("rb")

            def ask(number: int, method: str, *params: object) -> dict[str, Any]:
                request = {"id": number, "method": f"mining.{method}", "params": params}
                sock.sendall(json.dumps(request).encode() + b"\n")
                while (answer := json.loads(lines.readline()))["id"] != number:
                    if answer.get("method") == "mining.notify":
                        line = json.dumps(answer).encode()
                        notifies.append(parse(line, firmware().rows))
                return dict(answer)

            notifies: list[Message] = []
            extranonce1 = ask(1, "subscribe", "test")["result"][1]
            ask(2, "authorize", "me", "x")
            ask(3, "ping")
            notify = notifies[-1]
            assert isinstance(notify, Notify)
            extranonce2 = bytes(8)
            coinbase = coinbase_transaction(
                notify.coinbase1,
                bytes.fromhex(extranonce1),
                extranonce2,
                notify.coinbase2,
            )
            root = merkle_root(sha256d(coinbase), notify.merkle_branch)
            work = Work(
                notify.version, notify.prevhash, root, notify.ntime, notify.nbits
            )
            target = target_for(1e-6)
            found = kernel.search(work.header(), 0, 1 << 16, target)[0]
            nonce = int.from_bytes(found.to_bytes(4), "little")
            share = ["me", notify.job_id, extranonce2.hex(), f"{notify.ntime:08x}"]

            altered = ask(4, "submit", *share, f"{nonce ^ 1:08x}")
            good = ask(5, "submit", *share, f"{nonce:08x}")

    assert altered["error"] == [23, "Low difficulty share", None]
    assert good["result"] is True


@pytest.mark.unwatched
def test_scaled_work_by_tls_on_a_pool_in_another_process(
    run_device: Any, tmp_path: Path, free_ports: Ports
) -> None:
    pool_port = free_ports()
    cert, key = tmp_path / "pool.pem", tmp_path / "pool.key"
    made = kept(cert, key, ["127.0.0.1"])
    files = ("--cert", str(cert), "--key", str(key))
    with (
        command("pool", "--port", str(pool_port), "--tls", *files),
        run_device(
            tmp_path,
            speed=60.0,
            work="scaled",
            pool=f"stratum+ssl://127.0.0.1:{pool_port}",
            firmware=("2.14.2",),
            settings={"stratumTLS": 2, "stratumCert": made.pem},
        ) as device,
    ):
        deadline = time.monotonic() + 60
        while (info := device.info())["sharesAccepted"] < 5:
            assert time.monotonic() < deadline, info
            time.sleep(0.1)

    assert info["sharesRejected"] == 0
    assert info["hashRate"] == pytest.approx(1071, rel=0.2)
    assert info["poolConnectionInfo"] == "IPv4 (TLS Cert)"


@each(
    ("options", "complaint"),
    [
        (["--tls", "--cert", "a"], "--cert: goes with --key"),
        (["--cert", "a", "--key", "b"], "--cert: is of no use without --tls"),
        (["--port", "65535", "--sv2"], "--port: 65535 leaves no port after it for"),
        (["--allow-network", "x"], "--allow-network: 'x' is no network, as"),
        (["--control", "here"], "--control: 'here' is neither HOST:PORT nor none"),
        (["--tls", "--cert", "no/folder", "--key", "no/key"], "no/folder, no/key: "),
        (["--dialect", "cgpool"], "--dialect: 'cgpool' is none of softaxe, public-p"),
        (["--job-version", "x"], "--job-version: 'x' is no number from 0 to 0xffff"),
        (["--share-version", "and"], "--share-version: 'and' is none of xor, or, ma"),
    ],
)
def test_what_does_not_fit_is_refused(options: list[str], complaint: str) -> None:
    result = CliRunner().invoke(app, ["pool", *options])

    assert result.exit_code == 2
    assert complaint in re.sub(r"\s+", " ", result.stderr)


def test_a_patch_moves_a_device_to_another_pool_and_to_real_work(
    run_device: Any, tmp_path: Path, free_ports: Ports
) -> None:
    pool_port = free_ports()
    with (
        command("pool", "--port", str(pool_port)),
        run_device(tmp_path, speed=10.0) as device,
    ):
        status = f"{device.url}/softaxe/status.json"
        assert wait_for(status)["work"] == "scaled"
        device.patch(stratumURL="stratum+tcp://127.0.0.1", stratumPort=pool_port)
        device.client.post("/api/system/restart")
        deadline = time.monotonic() + 60
        while wait_for(status)["work"] != "real":
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_shares_by_stratum_v2_convince_a_pool_in_another_process() -> None:
    with command("pool", "--port", "0", "--sv2") as pool:
        assert pool.stdout is not None
        printed = ""
        while "Ctrl-C" not in printed:
            printed += pool.stdout.readline()
        found = re.search(r"stratum2\+tcp://127\.0\.0\.1:(\d+)/(\w+)", printed)
        assert found is not None
        miner = Initiator(KeyPair.draw(Random(1)), authority=read_authority(found[2]))
        with socket.create_connection(("127.0.0.1", int(found[1])), 5) as sock:
            sock.sendall(miner.hello)
            answer = sock.recv(ANSWER_BYTES, socket.MSG_WAITALL)
            link = FrameLink(miner.finish(answer), most_payload_bytes=1 << 14)
            heard: list[v2.Message] = []

            def say(said: v2.Message, *kinds: type[v2.Message]) -> None:
                heard.clear()
                sock.sendall(link.seal(v2.frame(said)))
                while len(heard) < len(kinds):
                    for frame in link.feed(sock.recv(4096)):
                        heard.append(v2.read(frame, v2.MESSAGES[frame.kind]))
                assert tuple(map(type, heard)) == kinds

            setup = v2.SetupConnection(0, 2, 2, 0, "h", 1, "v", "hw", "", "")
            say(setup, v2.SetupConnectionSuccess)
            for asked, opened, job in (
                (
                    v2.OpenExtendedMiningChannel(1, "u", 2.0, v2.ANY_TARGET, 2),
                    v2.OpenExtendedMiningChannelSuccess,
                    v2.NewExtendedMiningJob,
                ),
                (
                    v2.OpenStandardMiningChannel(2, "u", 2.0, v2.ANY_TARGET),
                    v2.OpenStandardMiningChannelSuccess,
                    v2.NewMiningJob,
                ),
            ):
                say(asked, opened, job, v2.SetNewPrevHash, job)
                share = share_of(heard)
                say(share, v2.SubmitSharesSuccess)
                say(replace(share, nonce=share.nonce ^ 1 << 31), v2.SubmitSharesError)
                assert heard[0] == v2.SubmitSharesError(
                    share.channel_id, 0, "difficulty-too-low"
                )


def share_of(
    heard: list[v2.Message],
) -> v2.SubmitSharesStandard | v2.SubmitSharesExtended:
    """Find a share for what was heard when a channel was opened."""
    opened, job, block, _ = heard
    assert isinstance(block, v2.SetNewPrevHash)
    if isinstance(job, v2.NewMiningJob):
        assert isinstance(opened, v2.OpenStandardMiningChannelSuccess)
        root, target = job.merkle_root, opened.target
    else:
        assert isinstance(opened, v2.OpenExtendedMiningChannelSuccess)
        assert isinstance(job, v2.NewExtendedMiningJob)
        extranonce = bytes(opened.extranonce_size)
        coinbase = coinbase_transaction(
            job.coinbase_prefix,
            opened.extranonce_prefix,
            extranonce,
            job.coinbase_suffix,
        )
        root, target = merkle_root(sha256d(coinbase), job.merkle_path), opened.target
    work = Work(job.version, block.prevhash, root, block.min_ntime, block.nbits)

    def is_good(nonce: int) -> bool:
        return int.from_bytes(sha256d(work.header(nonce)), "little") <= target

    # The same nonce with its top bit altered is to be refused.
    nonce = next(n for n in range(1 << 16) if is_good(n) and not is_good(n ^ 1 << 31))
    fields = (opened.channel_id, 0, job.job_id, nonce, block.min_ntime, job.version)
    if isinstance(opened, v2.OpenExtendedMiningChannelSuccess):
        return v2.SubmitSharesExtended(*fields, bytes(opened.extranonce_size))
    return v2.SubmitSharesStandard(*fields)
