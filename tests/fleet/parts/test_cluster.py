"""A fleet on two machines of a cluster, both of which are this one.

Actors and machines that die are what this is about, so all tests share one cluster, and
each leaves it with two machines. Ray takes a second to import, so only these tests do.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

import softaxe
from softaxe.errors import SettingError, SoftaxeError
from softaxe.fleet.clock import Clock
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.testing.run import RunningFleet

SMALL: dict[str, Any] = {
    "num_cpus": 1,
    "object_store_memory": 80 << 20,
    "include_log_monitor": False,
}
WAIT_S = 60.0
NET = f"127.{128 + (os.getpid() >> 8) % 128}.{os.getpid() % 256}"
"""Of this machine's addresses, those that no other run of these tests has."""
ALIKE = ("id", "macAddr", "hostname", "expectedHashrate", "faults")


class OnTwo:
    """A fleet of four on the cluster, with a client of its control port."""

    def __init__(self, cluster: Any, node: Any, running: RunningFleet) -> None:
        self.cluster, self.node, self.running = cluster, node, running
        self.told: list[str] = []
        self.api = httpx.Client(base_url=running.control_url, timeout=WAIT_S)

    def row(self, device: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/control/devices/{device}").json()
        return found["row"]  # type: ignore[no-any-return]

    def workers(self) -> list[dict[str, Any]]:
        found: dict[str, Any] = self.api.get("/control/workers").json()
        return found["workers"]  # type: ignore[no-any-return]


def process_of(fleet: OnTwo, number: int) -> int:
    """Return the process of a part's actor."""
    return int(fleet.workers()[number]["place"].rpartition(" ")[2])


def wait_until(is_so: Callable[[], bool]) -> None:
    late = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < late
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster() -> Any:
    """The module that needs Ray."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    return import_module("softaxe.fleet.parts.cluster")


class Told(logging.Handler):
    """Keeps what is told of the fleet."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


@pytest.fixture(scope="module")
def fleet() -> Iterator[OnTwo]:
    missing = "Ray is not installed: pip install ray"
    make_cluster = pytest.importorskip("ray.cluster_utils", reason=missing).Cluster
    head = {**SMALL, "include_dashboard": False, "no_monitor": True}
    head["env_vars"] = {"SOFTAXE_RUN_HOST": f"{NET}.10"}
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # A machine whose Ray has gone is given up after five refusals.
        patch.setenv("RAY_health_check_period_ms", "300")
        cluster = make_cluster(initialize_head=True, head_node_args=head)
        stack.callback(cluster.shutdown)
        other = {"SOFTAXE_RUN_HOST": f"{NET}.20"}
        node = cluster.add_node(**SMALL, env_vars=other)
        running = softaxe.running(
            count=4, seed=7, port=9000, control=True, ray=cluster.address, workers=2
        )
        made = OnTwo(cluster, node, stack.enter_context(running))
        handler = Told(made.told)
        logging.getLogger("softaxe").addHandler(handler)
        stack.callback(logging.getLogger("softaxe").removeHandler, handler)
        stack.callback(made.api.close)
        yield made


def test_one_api_speaks_for_all_machines(fleet: OnTwo) -> None:
    api = fleet.api
    api.post("/control/clock/advance", json={"seconds": 30})

    found = api.get("/control/fleet").json()
    rows = api.get("/control/devices").json()["devices"]

    assert (found["devices"], found["mining"], found["workers"]) == (4, 4, 2)
    assert [row["id"] for row in rows] == [f"601-{n}" for n in range(1, 5)]
    ends = sorted(row["url"].removeprefix(f"http://{NET}.") for row in rows)
    assert ends == ["10:9000", "11:9000", "20:9000", "21:9000"]
    assert "softaxe_devices 4.0" in api.get("/metrics").text
    assert api.get("/control/devices/601-9").status_code == 404
    refused = api.post("/control/faults", json={"effect": "fire"})
    assert (refused.status_code, "'fire' is none" in refused.text) == (400, True)


def test_devices_and_shares_of_them_are_the_same_however_divided(
    fleet: OnTwo,
) -> None:
    rule = {"effect": "fan_blocked", "share": 0.5}
    with softaxe.running(count=4, seed=7, control=True) as whole:
        found = []
        for url in (fleet.running.control_url, whole.control_url):
            with httpx.Client(base_url=url, timeout=WAIT_S) as api:
                order = api.post("/control/faults", json=rule).json()
                rows = api.get("/control/devices").json()["devices"]
                api.delete("/control/faults")
            for row in rows:
                if row["hostname"].startswith("kept"):  # another test's
                    end = row["macAddr"].replace(":", "")[-4:].lower()
                    row["hostname"] = f"bitaxe-{end}"
            found.append([[row[k] for k in ALIKE] for row in rows])
            found[-1].append([order["matches"]])

    assert found[0] == found[1]


def test_an_actor_that_dies_comes_back_as_it_was(fleet: OnTwo) -> None:
    api = fleet.api
    *_, third, fourth = api.get("/control/devices").json()["devices"]
    url, then = third["url"], api.get("/control/clock").json()["now"]
    assert httpx.patch(f"{url}/api/system", json={"hostname": "kept"}).is_success
    assert api.delete(f"/control/devices/{fourth['id']}").is_success
    ordered = api.post("/control/faults", json={"effect": "ambient", "c": 40}).json()
    added = api.post("/control/devices", json={"name": "late"}).json()["devices"]
    assert (added[0]["id"], added[0]["group"]) == ("601-4", "late")
    before = api.get("/control/journal").json()["last"]

    os.kill(process_of(fleet, 1), signal.SIGKILL)

    wait_until(lambda: len(fleet.told) == 2)
    assert "worker 2 of the fleet, with 601-3 to 601-4, has died on" in fleet.told[0]
    assert "is back on" in fleet.told[1]
    rows = api.get("/control/devices").json()["devices"]
    assert [row["id"] for row in rows] == [f"601-{n}" for n in range(1, 5)]
    assert rows[3]["group"] == "late"
    assert rows[2]["url"] == third["url"]
    assert [row["faults"] for row in rows] == 4 * [[ordered["id"]]]
    assert fleet.row("601-3")["hostname"] == "kept"
    assert api.get("/control/clock").json()["now"] > then
    httpx.get(f"{url}/api/system/asic")
    assert api.get("/control/journal").json()["last"] == before + 1
    assert [one["restarts"] for one in fleet.workers()] == [0, 1]
    assert fleet.workers()[1]["devices"] == "601-3 to 601-4"

    assert api.post("/control/reset").is_success
    assert fleet.row("601-4")["group"] == "devices"


def test_an_actor_that_stands_still_holds_nobody_up(
    fleet: OnTwo, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "STILL_S", 2.0)
    process = process_of(fleet, 1)
    os.kill(process, signal.SIGSTOP)
    try:
        answer = fleet.api.get("/control/fleet")
    finally:
        os.kill(process, signal.SIGCONT)

    assert answer.status_code == 503
    assert "worker 2 of the fleet, with 601-3 to 601-4, has not" in answer.text
    wait_until(lambda: fleet.api.get("/control/fleet").is_success)


def test_an_advance_ends_on_all_machines_when_its_client_has_gone(
    fleet: OnTwo,
) -> None:
    api = fleet.api
    before = api.patch("/control/clock", json={"paused": True}).json()["now"]

    with pytest.raises(httpx.ReadTimeout):
        api.post("/control/clock/advance", json={"seconds": 1e6}, timeout=1.0)

    now = api.post("/control/clock/advance", json={"until": 0}).json()["now"]
    assert before < now < before + 1e6
    last = api.get("/control/journal").json()["last"]
    urls = [one.url for one in fleet.running if NET in one.url]  # and not by a name
    for url in urls:
        httpx.get(f"{url}/api/system/asic")
    entries = api.get("/control/journal", params={"after": last}).json()["entries"]
    assert [entry["now"] for entry in entries] == len(urls) * [now]
    assert len(urls) >= 2
    api.patch("/control/clock", json={"paused": False})


def test_devices_of_a_machine_that_dies_come_back_on_another(fleet: OnTwo) -> None:
    api = fleet.api
    rows = api.get("/control/devices").json()["devices"]
    (lost, *_) = [row for row in rows if f"{NET}.20:" in row["url"]]
    body = {"hostname": "kept-too"}
    assert httpx.patch(f"{lost['url']}/api/system", json=body).is_success
    fleet.told.clear()

    fleet.cluster.remove_node(fleet.node, allow_graceful=False)
    wait_until(lambda: bool(fleet.told))
    away = api.get("/control/fleet")
    states = [one["state"] for one in fleet.workers()]
    then = api.get("/control/clock").json()["now"]
    other = {"SOFTAXE_RUN_HOST": f"{NET}.30", "SOFTAXE_RUN_ADVERTISE": "third.example"}
    fleet.node = fleet.cluster.add_node(**SMALL, env_vars=other)

    assert "has died" in fleet.told[0]
    assert (away.status_code, "is started again" in away.text) == (503, True)
    assert sorted(states) == ["starting again", "up"]
    wait_until(lambda: "is back on" in fleet.told[-1])
    row = fleet.row(lost["id"])
    assert (row["hostname"], row["macAddr"]) == ("kept-too", lost["macAddr"])
    host, _, port = row["url"].rpartition(":")
    assert host == "http://third.example"
    assert httpx.get(f"http://{NET}.30:{port}/api/system/info").is_success
    assert api.get("/control/clock").json()["now"] > then


def test_devices_are_handled_wherever_they_are(fleet: OnTwo) -> None:
    running = fleet.running
    assert [device.id for device in running] == [f"601-{n}" for n in range(1, 5)]
    first, last = running[0], running["601-4"]

    assert last.patch(autofanspeed=0, manualFanSpeed=60) == ()
    running.clock.advance(30)
    assert (last.info()["manualFanSpeed"], first.info()["autofanspeed"]) == (60, 1)
    rule = last.faults.add("fan_dead")
    assert [row["faults"] for row in (fleet.row("601-1"), fleet.row("601-4"))] == [
        [],
        [rule],
    ]
    with pytest.raises(SettingError, match="there is none like"):
        running.faults.add("fan_dead", device="601-9")
    running.faults.clear()

    (added,) = running.add(name="more")
    assert (added.id, len(running)) == ("601-5", 5)
    added.remove()
    assert len(running) == 4
    with pytest.raises(RuntimeError, match="in other processes"):
        _ = running.pool.url


def test_what_cannot_be_is_told_before_anything_starts(
    fleet: OnTwo, cluster: Any, tmp_path: Path
) -> None:
    options = FleetOptions(tmp_path, groups=(Group(count=4),))
    with pytest.raises(SettingError, match="--workers: 3 is more than the cluster's 2"):
        cluster.in_cluster(options, "auto", 3)
    with pytest.raises(SettingError, match="workers: goes with ray"):
        softaxe.running(workers=2)


def test_a_fleet_may_have_more_devices_than_an_address_has_ports(
    fleet: OnTwo, cluster: Any, tmp_path: Path
) -> None:
    options = FleetOptions(tmp_path, groups=(Group(count=100_000),), port_base=9000)

    whole = cluster.in_cluster(options, "auto", 2)

    devices = [part.state.devices for part in whole.parts]
    assert devices == ["601-1 to 601-50000", "601-50001 to 601-100000"]


def test_places_of_parts_on_one_machine_follow_each_other(
    cluster: Any, tmp_path: Path
) -> None:
    options = FleetOptions(tmp_path, port_base=9000)
    shared = cluster._Cluster(options, Clock(), print, frozenset(), print)
    version = softaxe.__version__
    here = cluster._Place("10.0.0.1", 1, version, None, None)
    there = cluster._Place("10.0.0.2", 1, version, None, None)
    own = cluster._Place("10.0.0.1", 1, version, "10.0.1.1", None)

    def first(part: int, at: Any, count: int) -> tuple[str, int]:
        plan = shared.place(part, at, count)
        return plan.host, plan.port

    assert first(0, here, 10) == ("10.0.0.1", 9000)
    assert first(1, here, 5) == ("10.0.0.1", 9010)
    assert first(2, there, 5) == ("10.0.0.2", 9000)
    assert first(3, own, 5) == ("10.0.1.1", 9000)
    assert first(0, there, 10) == ("10.0.0.2", 9005)
    assert first(3, here, 10) == ("10.0.0.1", 9000), "which nobody has now"
    assert first(2, here, 11) == ("10.0.0.1", 9015)


def test_a_machine_may_have_an_address_for_each_device(
    cluster: Any, tmp_path: Path
) -> None:
    options = FleetOptions(tmp_path, port=80)
    shared = cluster._Cluster(options, Clock(), print, frozenset(), print)

    def plan(part: int, host: str | None, advertise: str | None) -> tuple[Any, ...]:
        place = cluster._Place("10.0.0.1", 1, softaxe.__version__, host, advertise)
        found = shared.place(part, place, 300)
        return found.host, found.port, found.port_base

    assert plan(0, "10.0.1.1", None) == ("10.0.1.1", 80, None)
    assert plan(1, "10.0.1.1", None) == ("10.0.2.47", 80, None)
    assert plan(1, None, None) == ("10.0.0.1", 80, 80)
    assert plan(2, "0.0.0.0", "lab.example") == ("0.0.0.0", 80, 80)


def test_devices_of_this_machine_alone_are_where_they_are_without_ray(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster.ray, "init", lambda **options: None)
    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: {"CPU": 2.0})
    options = FleetOptions(tmp_path, groups=(Group(count=4),), port=8080)

    whole = cluster.in_cluster(options, cluster.LOCAL, None)

    shared = whole.parts[0]._cluster
    assert shared.is_local
    at = cluster._Place("10.0.0.1", 1, softaxe.__version__, None, None)
    plans = [shared.place(part, at, 2) for part in (0, 1)]
    assert [(one.host, one.port_base) for one in plans] == [
        ("127.0.0.2", None),
        ("127.0.0.4", None),
    ]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ray://127.0.0.1:10001", "neither HOST:PORT nor auto nor local"),
        ("127.0.0.1", "neither HOST:PORT nor auto nor local"),
        ("127.0.0.1:99999", "neither HOST:PORT nor auto nor local"),
        ("127.0.0.1:1", "Connection refused"),
    ],
)
def test_an_address_without_a_cluster_is_told(
    address: str,
    told: str,
    cluster: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster, "is_initialized", lambda: False)
    with pytest.raises(SettingError, match=f"--ray: {address}: .*{told}"):
        cluster.in_cluster(FleetOptions(tmp_path), address, 1)


def test_who_listens_but_does_not_let_in_may_want_another_token(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_options: Any) -> None:
        raise ConnectionError("Failed to connect\nas it happens")

    monkeypatch.setattr(cluster, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster.ray, "init", refuse)
    told = "Failed to connect; who listens there must be Ray, with RAY_AUTH_MODE and"
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(SettingError, match=f"--ray: {address}: {told} token"):
            cluster.in_cluster(FleetOptions(tmp_path), address, 1)


class Dying:
    """An actor that has a place, and dies whenever it is to start."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.starts = 0
        self.where, self.start = Method(self._where), Method(self._start)

    async def _where(self) -> Any:
        return self._cluster._Place("10.0.0.1", 1, softaxe.__version__, None, None)

    async def _start(self) -> None:
        self.starts += 1
        raise self._cluster.RayActorError


class Method:
    """One of an actor's methods."""

    def __init__(self, work: Callable[[], Coroutine[None, None, Any]]) -> None:
        self._work = work

    def remote(self, *_arguments: Any, **_more: Any) -> Coroutine[None, None, Any]:
        return self._work()


def test_a_part_that_dies_at_each_start_ends_the_fleet(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Dying(cluster)
    monkeypatch.setattr(cluster, "_new_actor", lambda: actor)
    monkeypatch.setattr(cluster, "_machine", lambda: "10.0.0.2")
    options = FleetOptions(tmp_path, groups=(Group(count=2),))
    shared = cluster._Cluster(options, Clock(), print, frozenset(), print)
    part = cluster.RayPart(0, options, shared)

    with pytest.raises(SoftaxeError, match="601-1 to 601-2, has died 3 times before"):
        asyncio.run(part.start())

    assert actor.starts == 3
    assert part.state.state == "starting"
