"""A fleet on two machines of a cluster, both of which are this one.

Actors and machines that die are what this is about, so all tests share one cluster, and
each leaves it with two machines.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

import softaxe
from softaxe.control.api import open_control
from softaxe.errors import SettingError
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
Cluster = pytest.importorskip("ray.cluster_utils").Cluster
in_cluster = pytest.importorskip("softaxe.fleet.parts.cluster").in_cluster

SMALL: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 << 20}
WAIT_S = 60.0
ALIKE = ("id", "macAddr", "hostname", "expectedHashrate", "faults")


class OnTwo:
    """A fleet of four on the cluster, with a client of its control port."""

    def __init__(self, cluster: Any, node: Any, state: Path) -> None:
        self.cluster, self.node = cluster, node
        self.told: list[str] = []
        self._options = FleetOptions(
            state,
            groups=(Group(count=4),),
            port_base=9000,
            pool_port=0,
            seed=7,
            control="127.0.0.1:0",
        )
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._main(),))
        self._thread.start()
        self._ready.wait(2 * WAIT_S)
        if self._error is not None:
            raise self._error
        self.api = httpx.Client(base_url=self.url, timeout=WAIT_S)

    async def _main(self) -> None:
        listener = whole = None
        try:
            whole = in_cluster(self._options, "auto", 2, tell=self.told.append)
            listener = await open_control(whole)
            assert listener is not None
            self.whole, self.url = whole, listener.url
            self._loop = asyncio.get_running_loop()
            await whole.start()
            self._ready.set()
            await whole.run()
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            self._error = error
        finally:
            self._ready.set()
            if whole is not None:
                await whole.close()
            if listener is not None:
                await listener.close()

    def end(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self.whole.stop)
        self._thread.join()
        self.api.close()
        if self._error is not None:
            raise self._error

    def row(self, device: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/control/devices/{device}").json()
        return found["row"]  # type: ignore[no-any-return]


def process_of(fleet: OnTwo, number: int) -> int:
    """Return the process of a part's actor."""
    return int(fleet.whole.parts[number].state.place.rpartition(" ")[2])


def wait_until(is_so: Callable[[], bool]) -> None:
    late = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < late
        time.sleep(0.1)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnTwo]:
    before = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    head = {**SMALL, "include_dashboard": False}
    head["env_vars"] = {"SOFTAXE_RUN_HOST": "127.0.77.1"}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    made = None
    try:
        node = cluster.add_node(**SMALL, env_vars={"SOFTAXE_RUN_HOST": "127.0.77.2"})
        ray.init(
            address=cluster.address, log_to_driver=False, logging_level=logging.ERROR
        )
        made = OnTwo(cluster, node, tmp_path_factory.mktemp("state"))
        yield made
    finally:
        if made is not None:
            made.end()
        ray.shutdown()
        cluster.shutdown()
        if before is None:
            del os.environ["RAY_USAGE_STATS_ENABLED"]


def test_one_api_speaks_for_all_machines(fleet: OnTwo) -> None:
    api = fleet.api
    api.post("/control/clock/advance", json={"seconds": 30})

    found = api.get("/control/fleet").json()
    rows = api.get("/control/devices").json()["devices"]

    assert (found["devices"], found["mining"], found["workers"]) == (4, 4, 2)
    assert [row["id"] for row in rows] == [f"601-{n}" for n in range(1, 5)]
    assert len({row["url"].rpartition(":")[0] for row in rows}) == 2
    assert sum(row["url"].startswith("http://127.0.77.2:") for row in rows) == 2
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
        for url in (fleet.url, whole.control_url):
            with httpx.Client(base_url=url, timeout=WAIT_S) as api:
                order = api.post("/control/faults", json=rule).json()
                rows = api.get("/control/devices").json()["devices"]
                api.delete("/control/faults")
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
    told = api.get("/control/workers").json()["workers"]
    assert [one["restarts"] for one in told] == [0, 1]
    assert told[1]["devices"] == "601-3 to 601-4"

    assert api.post("/control/reset").is_success
    assert fleet.row("601-4")["group"] == "devices"


def test_an_actor_that_stands_still_holds_nobody_up(fleet: OnTwo) -> None:
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
    first, second = [part.now for part in fleet.whole.parts]
    assert first == second == pytest.approx(now, abs=1e-3)
    api.patch("/control/clock", json={"paused": False})


def test_devices_of_a_machine_that_dies_come_back_on_another(fleet: OnTwo) -> None:
    api = fleet.api
    rows = api.get("/control/devices").json()["devices"]
    (lost, *_) = [row for row in rows if "127.0.77.2" in row["url"]]
    body = {"hostname": "kept-too"}
    assert httpx.patch(f"{lost['url']}/api/system", json=body).is_success
    fleet.told.clear()

    fleet.cluster.remove_node(fleet.node, allow_graceful=False)
    wait_until(lambda: bool(fleet.told))
    away = api.get("/control/fleet")
    states = [one["state"] for one in api.get("/control/workers").json()["workers"]]
    then = api.get("/control/clock").json()["now"]
    fleet.node = fleet.cluster.add_node(
        **SMALL, env_vars={"SOFTAXE_RUN_HOST": "127.0.77.3"}
    )

    assert "has died" in fleet.told[0]
    assert (away.status_code, "is started again" in away.text) == (503, True)
    assert sorted(states) == ["starting again", "up"]
    wait_until(lambda: len(fleet.told) == 2)
    assert "is back on" in fleet.told[1]
    row = fleet.row(lost["id"])
    assert (row["hostname"], row["macAddr"]) == ("kept-too", lost["macAddr"])
    assert "//127.0.77.3:" in row["url"]
    assert api.get("/control/clock").json()["now"] > then


def test_what_cannot_be_is_told_before_anything_starts(
    fleet: OnTwo, tmp_path: Path
) -> None:
    options = FleetOptions(tmp_path, groups=(Group(count=4),))
    with pytest.raises(SettingError, match="--workers: 3 is more than the cluster's 2"):
        in_cluster(options, "auto", 3)
