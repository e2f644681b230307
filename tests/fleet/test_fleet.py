"""A fleet as a user meets it: processes, signals, sockets, `kill -9`."""

import asyncio
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from softaxe.asic.chip import Search
from softaxe.bitcoin import kernel
from softaxe.bitcoin.header import (
    Work,
    coinbase_transaction,
    merkle_root,
    sha256d,
    target_for,
)
from softaxe.device.device import Device
from softaxe.errors import FleetStopped
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.serve.listener import Listener
from softaxe.serve.member import Member
from softaxe.serve.storage import Storage
from softaxe.stratum.messages import Message, Notify, parse
from softaxe.testing.run import running

Ports = Callable[..., int]


@contextmanager
def command(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "softaxe", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(
    process: "subprocess.Popen[str]", is_enough: Callable[[str], bool]
) -> str:
    """Read what a process prints until it is enough, or a minute is over."""
    assert process.stdout is not None
    text = ""
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        while not is_enough(text):
            line = process.stdout.readline()
            assert line, f"it has ended: {text}"
            text += line
    finally:
        watchdog.cancel()
    return text


def end_of(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """The rest of what an ending process prints; for after `read_until`."""
    # Not `communicate`, which does not see what was read ahead.
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdout.read(), process.stderr.read()


def wait_for(url: str, seconds: float = 60.0) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer: dict[str, Any] = httpx.get(url, timeout=30).json()
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.01)
        else:
            return answer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_says_what_runs_and_ends_cleanly(
    tmp_path: Path, number: signal.Signals, free_ports: Ports
) -> None:
    port = free_ports()
    with command("run", "--port", str(port), "--state", str(tmp_path)) as process:
        info = wait_for(f"http://127.0.0.1:{port}/api/system/info")
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)

    assert process.returncode == 0
    assert errors == ""
    assert f"address  http://127.0.0.1:{port}" in output
    assert "board    601 Gamma (1 x BM1370)" in output
    assert re.search(r"pool     built-in 127\.0\.0\.1:\d+", output)
    assert "work     scaled" in output
    assert info["ASICModel"] == "BM1370"
    assert info["stratumURL"] == info["fallbackStratumURL"] == "127.0.0.1"
    assert info["stratumPort"] != info["fallbackStratumPort"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--board", "9000"], "board: '9000' is none of"),
        (["--pool", "stratum+ssl://a:1"], "plain Stratum v1 only"),
        (["--pool", "://"], "--pool"),
        (["--state", "x", "--ephemeral"], "--ephemeral"),
        (["--port", "70000"], "65535"),
        (["--work", "fake"], "fake"),
    ],
)
def test_bad_options_are_refused_in_words(arguments: list[str], complaint: str) -> None:
    with command("run", *arguments) as process:
        _, errors = process.communicate(timeout=60)

    assert process.returncode != 0
    assert complaint in re.sub(r"\s+", " ", re.sub(r"[│╭╮╰╯─]", " ", errors))
    assert "Traceback" not in errors


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = ("run", "--port", str(port), "--state", str(tmp_path))
        with command(*arguments) as process:
            _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "in use" in errors
    assert "Traceback" not in errors


def test_a_second_process_on_one_state_is_refused(
    tmp_path: Path, free_ports: Ports
) -> None:
    port = free_ports()
    with command("run", "--port", str(port), "--state", str(tmp_path)):
        wait_for(f"http://127.0.0.1:{port}/api/system/info")
        with command("run", "--port", "0", "--state", str(tmp_path)) as second:
            _, errors = second.communicate(timeout=60)

    assert second.returncode == 1
    assert f"{tmp_path} is in use by another softaxe" in errors


def test_passwords_are_neither_printed_nor_logged(
    tmp_path: Path, free_ports: Ports
) -> None:
    port = free_ports()
    arguments = ("--state", str(tmp_path), "--port", str(port), "--log-level", "info")
    secret = "sehr-geheim"
    with command("run", *arguments, "--speed", "20", "--password", secret) as process:
        output = read_until(process, lambda text: "mining.authorize" in text)
        process.terminate()
        rest, errors = end_of(process)
        output += rest

    assert "mining.authorize" in output
    assert secret not in output + errors
    assert "softaxe-wifi" not in output + errors


def test_real_shares_convince_a_pool_in_another_process(
    tmp_path: Path, free_ports: Ports
) -> None:
    pool_port, port = free_ports(), free_ports()
    pool = ("pool", "--port", str(pool_port), "--difficulty", "0.0003")
    with command(*pool) as pool_process:
        assert pool_process.stdout is not None
        arguments = (
            *("run", "--port", str(port), "--state", str(tmp_path), "--speed", "10"),
            *(
                "--pool",
                f"127.0.0.1:{pool_port}",
                "--user",
                "me",
                "--cpu-percent",
                "90",
            ),
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
                        notifies.append(parse(json.dumps(answer).encode()))
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


def test_scaled_work_on_a_pool_in_another_process(
    run_device: Any, tmp_path: Path, free_ports: Ports
) -> None:
    pool_port = free_ports()
    with (
        command("pool", "--port", str(pool_port)),
        run_device(
            tmp_path, speed=60.0, work="scaled", pool=f"127.0.0.1:{pool_port}"
        ) as device,
    ):
        deadline = time.monotonic() + 60
        while (info := device.info())["sharesAccepted"] < 5:
            assert time.monotonic() < deadline, info
            time.sleep(0.1)

    assert info["sharesRejected"] == 0
    assert info["hashRate"] == pytest.approx(1071, rel=0.2)


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


def until(is_true: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait until it is; a device that is away answers nothing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if is_true():
                return
        time.sleep(0.05)
    raise AssertionError("it did not come true")


def test_a_new_device_is_set_up_over_http_and_stays_so(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path, is_first_boot=True, speed=20.0) as device:
        info = device.info()
        assert (info["ssid"], info["apEnabled"], info["temp"]) == ("", 1, -1)
        refused = device.client.post("/api/system/OTA", content=b"x")
        assert refused.text == "Not allowed in AP mode"
        networks = device.client.get("/api/system/wifi/scan").json()["networks"]
        assert "softaxe" in [network["ssid"] for network in networks]

        answer = device.patch(ssid="softaxe", wifiPass="softaxe-wifi")
        assert answer.status_code == 200
        device.client.post("/api/system/restart")
        until(lambda: device.info()["wifiStatus"] == "Connected!")
        until(lambda: device.info()["sharesAccepted"] > 0)
        assert device.info()["apEnabled"] == 0

    with run_device(tmp_path, is_first_boot=True) as device:
        until(lambda: device.info()["wifiStatus"] == "Connected!")


def test_a_wrong_password_can_be_put_right_over_http(
    tmp_path: Path, run_device: Any
) -> None:
    with run_device(tmp_path, speed=20.0) as device:
        device.patch(wifiPass="wrong-password")
        device.client.post("/api/system/restart")
        until(lambda: "Incorrect password" in device.info()["wifiStatus"])
        assert device.info()["apEnabled"] == 1

        device.patch(wifiPass="softaxe-wifi")
        device.client.post("/api/system/restart")
        until(lambda: device.info()["wifiStatus"] == "Connected!")


# Fleets


def test_a_fleet_is_found_by_whoever_looks_at_its_addresses(
    tmp_path: Path, free_ports: Ports
) -> None:
    port, control = free_ports(), free_ports()
    arguments = ("--count", "5", "--port", str(port), "--state", str(tmp_path))
    with command("run", *arguments, "--control", f"127.0.0.1:{control}") as process:
        wait_for(f"http://127.0.0.1:{control}/control/ready")
        infos = [
            wait_for(f"http://127.0.0.{last}:{port}/api/system/info")
            for last in range(2, 7)
        ]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.7:{port}/")
        httpx.post(f"http://127.0.0.1:{control}/control/shutdown")
        output, errors = process.communicate(timeout=60)

    assert process.returncode == 0
    assert errors == ""
    assert f"devices  5, http://127.0.0.2:{port} to http://127.0.0.6:{port}" in output
    assert f"control  http://127.0.0.1:{control}" in output
    for name in ("macAddr", "hostname", "ipv4", "ipv6"):
        assert len({info[name] for info in infos}) == 5
    assert [info["ipv4"] for info in infos] == [f"127.0.0.{n}" for n in range(2, 7)]


def test_log_lines_say_of_which_device_they_are(tmp_path: Path) -> None:
    arguments = ("--count", "2", "--port", "0", "--state", str(tmp_path))
    options = ("--log-level", "info", "--control", "none", "--speed", "20")
    with command("run", *arguments, *options) as process:
        read_until(process, lambda text: speakers(text) == {"601-0", "601-1"})
        process.terminate()
        _, errors = end_of(process)

    assert errors == ""


def speakers(output: str) -> set[str]:
    """The devices that log in to their pools."""
    lines = [line for line in output.splitlines() if "mining.authorize" in line]
    return {line.split()[0] for line in lines}


def test_devices_may_share_an_address(tmp_path: Path, free_ports: Ports) -> None:
    port = free_ports(2)
    arguments = ("--count", "2", "--port-base", str(port), "--state", str(tmp_path))
    with command("run", *arguments, "--control", "none"):
        for number in range(2):
            wait_for(f"http://127.0.0.1:{port + number}/api/system/info")


@pytest.mark.parametrize(
    ("text", "arguments", "complaint"),
    [
        ("[[group]]\nboard = '9'", [], "group 1: board: board: '9' is none of"),
        ("[[group]]", ["--board", "601"], "--board: write it into"),
        ("[[group]]", ["--control", "x"], "--control: 'x' is neither HOST:PORT"),
        ("[[group]]\n[[fault]]\neffect = 'x'", [], "effect: 'x' is none of"),
        ("speed = 0\n[[group]]", [], "fleet.toml: speed: 0 is outside 0.01..10000"),
        ("[[group]]", ["--seed", "16777216"], "16777215"),
        ("[[group]]\nseed=1\n[[group]]\nname='b'\nseed=1", [], "seed: 1 of group b"),
    ],
)
def test_a_bad_fleet_is_refused_in_words(
    tmp_path: Path, text: str, arguments: list[str], complaint: str
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    with command("run", str(path), "--ephemeral", "--port", "0", *arguments) as process:
        _, errors = process.communicate(timeout=60)

    assert process.returncode in {1, 2}
    assert complaint in errors
    assert "Traceback" not in errors


def test_networks_and_page_hold_for_every_group(
    tmp_path: Path, free_ports: Ports
) -> None:
    path, networks, www = (tmp_path / n for n in ("fleet.toml", "networks", "www"))
    path.write_text("[[group]]\nname = 'a'\n[[group]]\nname = 'b'")
    networks.write_text('[[network]]\nssid = "Harbour"')
    www.mkdir()
    (www / "index.html").write_text("<p>ours")
    port = free_ports(2)
    arguments = (str(path), "--ephemeral", "--port-base", str(port))
    options = ("--networks", str(networks), "--www", str(www), "--control", "none")
    with command("run", *arguments, *options):
        for number in range(2):
            url = f"http://127.0.0.1:{port + number}"
            found = wait_for(f"{url}/api/system/wifi/scan")["networks"]
            assert [network["ssid"] for network in found] == ["Harbour"]
            assert httpx.get(url).text == "<p>ours"


def test_a_fleets_state_is_in_one_database(tmp_path: Path) -> None:
    with running(count=3, state=tmp_path, speed=0) as fleet:
        for number, device in enumerate(fleet, 1):
            device.patch(statsFrequency=number)
        ids = [device.id for device in fleet]

    storage = Storage(tmp_path)
    found = [storage.load_settings(id_)["statsFrequency"] for id_ in ids]
    storage.close()
    assert found == [1, 2, 3]
    assert {path.name for path in tmp_path.iterdir()} <= {
        "state.db",
        "state.db-wal",
        "images",
    }


@pytest.mark.unwatched
def test_shares_are_counted_alike_on_both_sides() -> None:
    with running(groups=[{"count": 15, "user": "w.{n}"}], speed=0) as fleet:
        fleet.clock.advance(600)
        infos = [device.info() for device in fleet]
        pool = fleet.pool.info()

    def by_worker(told: dict[str, Any]) -> tuple[int, int]:
        return told["sharesAccepted"], sum(told["sharesRejected"].values())

    told = {i["stratumUser"]: (i["sharesAccepted"], i["sharesRejected"]) for i in infos}
    assert len(told) == 15
    assert min(accepted for accepted, _ in told.values()) > 60
    assert pool["connections"] == 15
    assert {name: by_worker(one) for name, one in pool["workers"].items()} == told
    accepted, rejected = (sum(column) for column in zip(*told.values(), strict=True))
    assert by_worker(pool) == (accepted, rejected)


def test_real_work_is_dealt_out_fairly(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Counter[int]()
    finish = Device.finish_search

    def note(device: Device, search: Search, found: list[int], now: float) -> None:
        turns[id(device)] += 1
        finish(device, search, found, now)

    monkeypatch.setattr(Device, "finish_search", note)
    with running(count=6, work="real", speed=20, warm_up_s=0):
        until(lambda: len(turns) == 6, seconds=120)
        before = Counter(turns)
        until(lambda: turns.total() - before.total() >= 60, seconds=300)
        dealt = Counter(turns)

    since = [dealt[one] - before[one] for one in dealt]
    assert min(since) > 0.5 * max(since)


def test_progress_is_told_from_the_start_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    async def live() -> None:
        options = FleetOptions(state=tmp_path, groups=(Group(count=20),), port_base=0)
        fleet = Fleet(options, show_progress=lambda *words: told.append(words))
        await fleet.start()
        await fleet.close()

    asyncio.run(live())
    up = [("starting", 0, 20), ("starting", 16, 20), ("starting", 20, 20)]
    assert told == [*up, ("ending", 0, 20), ("ending", 20, 20)]


def test_a_fleet_that_is_to_end_starts_no_more_devices(tmp_path: Path) -> None:
    async def live() -> int:
        options = FleetOptions(state=tmp_path, groups=(Group(count=40),), port_base=0)
        fleet = Fleet(options, show_progress=lambda *words: told.append(words))
        asyncio.get_running_loop().call_soon(fleet.stop)
        with pytest.raises(FleetStopped):
            await fleet.start()
        await fleet.close()
        return len(fleet.members)

    told: list[tuple[str, int, int]] = []
    assert asyncio.run(live()) == 0
    assert ("starting", 0, 40) in told
    assert ("starting", 40, 40) not in told


def test_ctrl_c_while_devices_come_up_is_no_error(
    tmp_path: Path, free_ports: Ports
) -> None:
    control = free_ports()
    arguments = ["--port-base", "0", "--count", "600", "--state", str(tmp_path)]
    arguments += ["--control", f"127.0.0.1:{control}"]
    with command("run", *arguments) as process:
        wait_for(f"http://127.0.0.1:{control}/control/health")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")


def test_a_command_makes_a_copy_that_lives() -> None:
    with (
        running(settings={"frequency": 490}) as bitaxe,
        command("clone", bitaxe.url, "--port", "0") as process,
    ):
        told = read_until(process, lambda text: "Ctrl-C" in text)
        (url,) = re.findall(r"address +(\S+)", told)
        info = wait_for(f"{url}/api/system/info")
        process.send_signal(signal.SIGINT)
        _, errors = end_of(process)
        process.wait(60)

    assert (process.returncode, errors) == (0, "")
    assert (info["boardVersion"], info["frequency"]) == ("601", 490)


def test_a_fleet_ends_in_the_middle_of_a_long_advance(
    tmp_path: Path, free_ports: Ports
) -> None:
    control = free_ports()
    arguments = ("--port", "0", "--count", "20", "--state", str(tmp_path))
    url = f"http://127.0.0.1:{control}/control"
    answers: list[httpx.Response] = []

    def advance() -> None:
        body = {"seconds": 86_400}
        path = f"{url}/clock/advance"
        answers.append(httpx.post(path, json=body, timeout=60))

    with command("run", *arguments, "--control", f"127.0.0.1:{control}") as process:
        wait_for(f"{url}/ready")
        asking = threading.Thread(target=advance)
        asking.start()
        until(lambda: wait_for(f"{url}/clock")["now"] > 10)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        asking.join(60)

    assert (process.returncode, errors) == (0, "")
    assert answers[0].status_code == 503
    assert "the fleet ends" in answers[0].json()["error"]


def test_a_device_that_cannot_be_added_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_listener: Listener) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "no such address")

    async def live() -> None:
        fleet = Fleet(FleetOptions(state=tmp_path, groups=(Group(),), port=0))
        await fleet.start()
        try:
            with monkeypatch.context() as away:
                away.setattr(Listener, "open", refuse)
                with pytest.raises(OSError, match="no such address"):
                    await fleet.add(Group())
                await asyncio.sleep(0.01)  # what it began has ended
            assert len(fleet.members) == 1
            assert [m for m in ghosts() if m.id not in fleet.members] == []
        finally:
            await fleet.close()

    def ghosts() -> list[Member]:
        coroutines = [task.get_coro() for task in asyncio.all_tasks()]
        frames = [getattr(coroutine, "cr_frame", None) for coroutine in coroutines]
        selves = [frame.f_locals.get("self") for frame in frames if frame]
        return [one for one in selves if isinstance(one, Member)]

    asyncio.run(live())


def test_after_a_reset_the_same_devices_are_met(tmp_path: Path) -> None:
    async def live() -> list[list[str]]:
        rules = ({"effect": "fan_dead", "share": 0.5},)
        fleet = Fleet(
            FleetOptions(
                state=tmp_path, groups=(Group(count=12),), port=0, faults=rules
            )
        )
        await fleet.start()
        found = []
        for _ in range(2):
            members = fleet.members.values()
            found.append([m.id for m in members if m.device.faults.dead_fans])
            await fleet.reset()
        await fleet.close()
        return found

    before, after = asyncio.run(live())

    assert 0 < len(before) < 12
    assert after == before
