import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.commands import ended

from softaxe.catalog.firmware import firmware
from softaxe.device.profile import ROWS
from softaxe.fleet.parts.processes import STILL_S
from softaxe.serve.storage import Storage

pytestmark = pytest.mark.unwatched


def test_why_a_part_cannot_start_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.3", 0)) as taken:
        port = taken.getsockname()[1]
        done = ended(
            *("run", "--count", "2", "--workers", "2", "--state", str(tmp_path)),
            *("--control", "none", "--host", "127.0.0.2", "--port", str(port)),
        )

    assert done.returncode == 2
    assert f"127.0.0.3 port {port}: Address already in use" in done.stderr


class Spread:
    """A fleet of four in two processes."""

    def __init__(self, state: Path, *more: str) -> None:
        arguments = ["--count", "4", "--workers", "2", "--state", str(state)]
        arguments += ["--port-base", "0", "--seed", "7"]
        arguments += ["--control", "127.0.0.1:0", *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "softaxe", "run", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.log: list[str] = []
        for line in self.process.stdout:
            self.log.append(line)
            if line.startswith("  control "):
                url = line.split()[1]
                break
        else:
            raise AssertionError(self.process.communicate()[1])
        self.api = httpx.Client(base_url=url, timeout=120)

    def children(self) -> list[int]:
        pid = self.process.pid
        path = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(text) for text in path.read_text().split()]


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spread]:
    made = Spread(tmp_path_factory.mktemp("state"))
    yield made
    made.api.close()
    made.process.kill()
    made.process.communicate()


def test_one_api_speaks_for_all(spread: Spread) -> None:
    api = spread.api
    api.post("/control/clock/advance", json={"seconds": 30})

    fleet = api.get("/control/fleet").json()
    listed = api.get("/control/devices").json()
    assert (fleet["devices"], fleet["mining"], fleet["workers"]) == (4, 4, 2)
    assert fleet["pool"]["connections"] == 4
    workers = api.get("/control/workers").json()["workers"]
    assert [(one["devices"], one["state"]) for one in workers] == [
        ("601-1 to 601-2", "up"),
        ("601-3 to 601-4", "up"),
    ]
    assert [row["id"] for row in listed["devices"]] == [f"601-{n}" for n in range(1, 5)]
    page = api.get("/control/devices", params={"offset": 1, "limit": 2}).json()
    assert [row["id"] for row in page["devices"]] == ["601-2", "601-3"]
    row = api.get("/control/devices/601-3").json()["row"]
    assert row["id"] == "601-3"
    status = httpx.get(f"{row['url']}/softaxe/status.json").json()
    assert status["fleetPage"] == str(api.base_url.join("/#/devices/601-3"))
    assert api.get("/control/devices/601-9").status_code == 404
    assert api.get("/control/ready").status_code == 200
    assert "softaxe_devices 4.0" in api.get("/metrics").text
    assert len(api.get("/control/history").json()["power"]) >= 3


def test_orders_reach_every_part(spread: Spread) -> None:
    api = spread.api
    added = api.post("/control/faults", json={"effect": "ambient", "c": 40})
    assert added.json()["matches"] == len(api.get("/control/devices").json()["devices"])
    assert added.status_code == 201
    (told,) = api.get("/control/faults").json()["faults"]
    assert told["matches"] == 4
    assert api.delete(f"/control/faults/{told['id']}").status_code == 200
    assert api.delete(f"/control/faults/{told['id']}").status_code == 404
    refused = api.post("/control/faults", json={"effect": "fire"})
    assert refused.status_code == 400
    assert "'fire' is none of" in refused.json()["error"]

    last = api.get("/control/journal").json()["last"]
    for row in api.get("/control/devices").json()["devices"]:
        httpx.get(f"{row['url']}/api/system/asic")
    entries = api.get("/control/journal", params={"after": last}).json()["entries"]
    assert {entry["device"] for entry in entries} == {f"601-{n}" for n in range(1, 5)}
    assert [entry["seq"] for entry in entries] == [last + n for n in range(1, 5)]

    assert api.post("/control/snapshots", json={"name": "x"}).json()["devices"] == 4
    assert api.post("/control/snapshots/x/restore").status_code == 200
    assert api.delete("/control/snapshots/x").status_code == 200


def test_devices_come_and_go_in_any_part(spread: Spread) -> None:
    api = spread.api
    added = api.post("/control/devices", json={"count": 1}).json()["devices"]
    assert added[0]["id"] == "601-5"

    assert api.post("/control/devices/601-5/restart").status_code == 200
    assert api.delete("/control/devices/601-5").status_code == 200
    assert api.get("/control/fleet").json()["devices"] == 4


def times_of_parts(spread: Spread) -> set[float]:
    """Ask every device, and return the device time at which it was asked."""
    last = spread.api.get("/control/journal").json()["last"]
    for row in spread.api.get("/control/devices").json()["devices"]:
        httpx.get(f"{row['url']}/api/system/asic")
    found = spread.api.get("/control/journal", params={"after": last}).json()
    assert len(found["entries"]) == 4
    return {entry["now"] for entry in found["entries"]}


def test_all_parts_have_one_time(spread: Spread) -> None:
    api = spread.api
    api.patch("/control/clock", json={"speed": 100})
    time.sleep(1.5)
    api.patch("/control/clock", json={"paused": True, "speed": 1})
    api.post("/control/snapshots", json={"name": "a b"})
    paused = api.get("/control/clock").json()
    assert paused["now"] > 30
    assert times_of_parts(spread) == {paused["now"]}

    later = api.post("/control/clock/advance", json={"seconds": 100}).json()
    assert later["now"] == pytest.approx(paused["now"] + 100)
    assert times_of_parts(spread) == {later["now"]}

    restored = api.post("/control/snapshots/a%20b/restore")
    assert restored.json() == paused
    assert times_of_parts(spread) == {paused["now"]}
    assert api.delete("/control/snapshots/a%20b").status_code == 200

    assert api.post("/control/reset").status_code == 200
    again = api.get("/control/clock").json()
    assert (again["speed"], again["paused"]) == (1, False)
    assert again["now"] < 10


def test_what_is_asked_reaches_the_parts_as_it_was(spread: Spread) -> None:
    api = spread.api
    listed = api.get("/control/devices", params={"state": "access point"})
    assert listed.json() == {"total": 0, "devices": []}
    group = {"name": "a&b", "seed": 50}
    assert api.post("/control/devices", json=group).status_code == 201
    chosen = api.get("/control/devices", params={"group": "a&b"}).json()
    assert [row["id"] for row in chosen["devices"]] == ["601-5"]
    for seed in (7, 50):
        refused = api.post("/control/devices", json={"seed": seed, "name": "more"})
        assert refused.status_code == 400
        assert f"seed: {seed} of group more is that" in refused.json()["error"]
    assert api.delete("/control/devices/601-5").status_code == 200

    times_of_parts(spread)  # somebody asks
    get, lower = [
        api.get("/control/journal", params={"method": method}).json()["entries"]
        for method in ("GET", "get")
    ]
    assert get
    assert get == lower


def test_what_removed_devices_have_stored_is_reset_too(spread: Spread) -> None:
    api = spread.api
    api.post("/control/devices", json={"seed": 60})
    for number in (2, 5):
        url = api.get(f"/control/devices/601-{number}").json()["row"]["url"]
        change = {"statsFrequency": 77}
        httpx.patch(f"{url}/api/system", json=change)
        api.delete(f"/control/devices/601-{number}")

    assert api.get("/control/journal").json()["entries"]
    api.post("/control/reset")
    assert api.get("/control/journal").json()["entries"] == []

    api.post("/control/devices", json={"seed": 60})
    for number in (2, 5):
        info = api.get(f"/control/devices/601-{number}").json()["info"]
        assert info["statsFrequency"] != 77
    api.delete("/control/devices/601-5")


def test_ctrl_c_while_parts_come_up_is_no_error(tmp_path: Path) -> None:
    arguments = ["--count", "4", "--workers", "2", "--state", str(tmp_path)]
    arguments += ["--port-base", "0", "--control", "none"]
    with subprocess.Popen(
        [sys.executable, "-m", "softaxe", "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(path.read_text().split()) < 2:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (0, "")


def test_an_advance_ends_in_all_parts_when_its_client_has_gone(spread: Spread) -> None:
    api = spread.api
    before = api.patch("/control/clock", json={"paused": True}).json()["now"]

    with pytest.raises(httpx.ReadTimeout):
        api.post("/control/clock/advance", json={"seconds": 1e6}, timeout=1.0)

    # One to a moment that is past does nothing but wait until that one has ended, and
    # all parts have met.
    now = api.post("/control/clock/advance", json={"until": 0}).json()["now"]
    assert before < now < before + 1e6
    assert times_of_parts(spread) == {now}
    until = {"until": now + 5}
    for _ in range(2):
        told = api.post("/control/clock/advance", json=until).json()
        assert told["now"] == pytest.approx(until["until"])
    api.patch("/control/clock", json={"paused": False})


def test_a_part_that_stands_still_holds_nobody_up(spread: Spread) -> None:
    api = spread.api
    # Nobody has to wait for its time then, so nothing else tells that it stands still.
    api.patch("/control/clock", json={"paused": True})
    api.post("/control/snapshots", json={"name": "before"})
    kept = api.get("/control/snapshots").json()
    api.post("/control/clock/advance", json={"seconds": 1})
    assert api.get("/control/devices/601-1").is_success  # whose it is, is known now
    second = spread.children()[-1]
    os.kill(second, signal.SIGSTOP)
    try:
        for method, path, patience_s in (
            ("POST", "/control/snapshots", STILL_S),
            ("GET", "/control/fleet", 0),
            ("GET", "/control/devices", 0),
            ("GET", "/control/devices/601-4", 0),
            ("GET", "/metrics", 0),
            ("GET", "/control/ready", 0),
        ):
            began = time.monotonic()
            answer = api.request(method, path, json={"name": "before"})
            took_s = time.monotonic() - began
            assert answer.status_code == 503
            who = "process 2 of the fleet, with 601-3 to 601-4,"
            assert answer.json()["error"].startswith(who)
            assert took_s < patience_s + 5, path
        assert api.get("/control/health").is_success
        assert api.get("/control/devices/601-1").is_success
    finally:
        os.kill(second, signal.SIGCONT)

    deadline = time.monotonic() + 20
    while not api.get("/control/ready").is_success:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert api.get("/control/fleet").json()["devices"] == 4
    assert api.get("/control/snapshots").json() == kept
    restored = api.post("/control/snapshots/before/restore").json()
    assert restored["now"] == kept["snapshots"][0]["now"]
    assert times_of_parts(spread) == {restored["now"]}
    api.delete("/control/snapshots/before")
    api.patch("/control/clock", json={"paused": False})


def test_parts_are_as_strict_and_as_talkative_as_asked_for_and_end_when_asked(
    tmp_path: Path,
) -> None:
    spread = Spread(tmp_path, "--log-level", "warning", "--strict")
    children = spread.children()
    for row in spread.api.get("/control/devices").json()["devices"]:
        change = {"hostname": "My Bitaxe", "statsFrequency": 77}
        answer = httpx.patch(f"{row['url']}/api/system", json=change)
        assert (answer.status_code, list(answer.json())) == (400, ["error"])
    told = spread.api.get("/control/journal", params={"differs": True}).json()
    assert len(told["entries"]) == 4
    assert told["entries"][0]["differs"] == [ROWS["hostname_checked"].text(firmware())]

    change = {"statsFrequency": 77}
    assert httpx.patch(f"{row['url']}/api/system", json=change).is_success
    os.kill(children[-1], signal.SIGSTOP)  # that one is woken to end
    spread.api.post("/control/shutdown")
    assert spread.process.stdout is not None
    output = spread.process.stdout.read()  # what was read ahead, too
    _, errors = spread.process.communicate(timeout=60)
    spread.api.close()

    assert (spread.process.returncode, errors) == (0, "")
    _wait_until_ended(children)  # multiprocessing's own tracker is the last
    lines = [line.split() for line in [*spread.log, *output.splitlines()]]
    shown = [words for words in lines if words[0].startswith("601-")]
    assert {words[0] for words in shown} == {f"601-{n}" for n in range(1, 5)}, (
        "all boot"
    )
    assert {words[1] for words in shown} == {"W"}


def test_parts_end_with_their_killed_parent(tmp_path: Path) -> None:
    spread = Spread(tmp_path)
    children = spread.children()

    spread.process.send_signal(signal.SIGKILL)
    spread.process.communicate()
    spread.api.close()

    _wait_until_ended(children)
    storage = Storage(tmp_path)
    assert json.dumps(storage.load_settings("601-7")) is not None
    storage.close()


def _wait_until_ended(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(_is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (ProcessLookupError, FileNotFoundError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
