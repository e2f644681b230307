import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.each import each

from softaxe.control.operations import OPERATIONS
from softaxe.testing.run import RunningFleet, running


def test_it_tells_the_sums_of_all_devices(
    api: httpx.Client, fleet: RunningFleet
) -> None:
    found = api.get("/control/fleet").json()

    assert (found["devices"], found["mining"]) == (3, 3)
    assert found["groups"] == {"gammas": 2, "supras": 1}
    single = [device.info() for device in fleet]
    assert found["hashRate"] == pytest.approx(sum(i["hashRate"] for i in single))
    assert found["power"] == pytest.approx(sum(i["power"] for i in single), abs=0.1)
    assert found["pool"]["connections"] == 3
    assert found["workers"] == 1
    (worker,) = api.get("/control/workers").json()["workers"]
    assert (worker["state"], worker["restarts"]) == ("up", 0)


def test_the_load_on_pools_is_told(api: httpx.Client) -> None:
    def counts() -> tuple[dict[str, Any], int]:
        pool = api.get("/control/fleet").json()["pool"]
        return api.get("/control/load").json(), pool["sharesAccepted"]

    before, judged_before = counts()
    api.post("/control/clock/advance", json={"seconds": 60})
    after, judged = counts()

    accepted = after["accepted"] - before["accepted"]
    assert accepted == judged - judged_before > 0
    assert after["submitted"] - before["submitted"] == accepted
    assert after["waiting"] == 0
    assert 0 < after["replyMs"]["p50"] <= after["replyMs"]["longest"] < 60_000
    assert after["connections"] - after["reconnects"] == 3
    text = api.get("/metrics").text
    total = after["submitted"]
    assert f"\nsoftaxe_load_submitted_total {total:.1f}\n" in text

    api.post("/control/faults", json={"effect": "pool_reconnect"})
    api.post("/control/clock/advance", json={"seconds": 10})
    assert counts()[0]["reconnects"] == after["reconnects"] + 3


def test_health_and_ready(api: httpx.Client) -> None:
    assert api.get("/control/health").json() == {"status": "ok"}
    assert api.get("/control/ready").status_code == 200


def test_devices_are_listed_chosen_and_cut(api: httpx.Client) -> None:
    every = api.get("/control/devices").json()
    supras = api.get("/control/devices", params={"group": "supras"}).json()
    second = api.get("/control/devices", params={"offset": 1, "limit": 1}).json()

    assert every["total"] == 3
    assert [row["board"] for row in every["devices"]] == ["601", "602", "402"]
    assert len({row["macAddr"] for row in every["devices"]}) == 3
    assert len({row["hostname"] for row in every["devices"]}) == 3
    assert supras["devices"] == every["devices"][2:]
    assert second == {"total": 3, "devices": every["devices"][1:2]}
    assert api.get("/control/devices", params={"state": "away"}).json()["total"] == 0
    assert api.get("/control/devices?firmware=2.12*").json()["total"] == 3
    assert api.get("/control/devices?firmware=2.15*").json()["total"] == 0


def test_one_device_comes_with_what_it_says_itself(api: httpx.Client) -> None:
    device_id = api.get("/control/devices").json()["devices"][2]["id"]

    found = api.get(f"/control/devices/{device_id}").json()

    assert found["row"]["id"] == device_id
    assert found["info"]["boardVersion"] == "402"


def test_only_what_is_new_is_told_of_what_is_asked_for(api: httpx.Client) -> None:
    def look(since: str) -> dict[str, Any]:
        query = {"since": since, "fields": "hostname,uptimeSeconds,startedAt"}
        found: dict[str, Any] = api.get("/control/devices", params=query).json()
        return found

    first = look("0")
    again = look(first["revision"])
    api.post("/control/clock/advance", json={"seconds": 5})
    later = look(again["revision"])

    whole = {"id", "hostname", "uptimeSeconds", "startedAt"}
    assert [set(row) for row in first["devices"]] == [whole] * 3
    assert (first["since"], first["total"]) == (None, 3)
    assert (again["devices"], again["removed"]) == ([], [])
    assert [set(row) for row in later["devices"]] == [{"id", "uptimeSeconds"}] * 3
    assert later["since"] == again["revision"]
    now = api.get("/control/clock").json()["now"]
    uptimes = [row["uptimeSeconds"] for row in later["devices"]]
    assert uptimes == [int(now - row["startedAt"]) for row in first["devices"]]


def test_a_devices_page_has_its_log_its_history_and_its_button(
    api: httpx.Client,
) -> None:
    api.post("/control/clock/advance", json={"seconds": 120})
    whole = api.get("/control/devices/601-1/log").json()
    order = {"order": "press", "devices": ["601-1"]}
    assert api.post("/control/devices/orders", json=order).json()["done"] == ["601-1"]
    query = {"after": whole["last"], "limit": 5}
    news = api.get("/control/devices/601-1/log", params=query).json()
    history = api.get("/control/devices/601-1/history").json()
    status = api.get("/control/devices/601-1").json()["status"]

    assert any("asic_result" in line for line in whole["lines"])
    assert "Short button click detected" in "".join(news["lines"])
    assert len(news["lines"]) <= 5
    assert len(set(map(len, history.values()))) == 1
    assert history["temp"][-1] > 30
    assert status["poolConnected"]
    assert api.get("/control/devices/601-9/log").status_code == 404
    assert api.get("/control/devices/601-9/history").status_code == 404


def test_devices_come_and_go_while_others_run(api: httpx.Client) -> None:
    group: dict[str, object] = {"count": 2, "board": "gamma", "name": "new"}
    group["settings"] = {"frequency": 490}
    added = api.post("/control/devices", json=group)
    assert added.status_code == 201
    rows = added.json()["devices"]
    url = rows[0]["url"]
    info = httpx.get(f"{url}/api/system/info").json()
    assert info["frequency"] == 490

    for row in rows:
        assert api.delete(f"/control/devices/{row['id']}").status_code == 200

    assert api.get("/control/fleet").json()["devices"] == 3
    with pytest.raises(httpx.TransportError):
        httpx.get(url)
    assert api.delete(f"/control/devices/{rows[0]['id']}").status_code == 404


def test_a_device_is_restarted(api: httpx.Client) -> None:
    device_id = api.get("/control/devices").json()["devices"][0]["id"]
    api.post("/control/clock/advance", json={"seconds": 30})
    before = api.get(f"/control/devices/{device_id}").json()["row"]["uptimeSeconds"]

    assert api.post(f"/control/devices/{device_id}/restart").status_code == 200
    api.post("/control/clock/advance", json={"seconds": 20})

    after = api.get(f"/control/devices/{device_id}").json()["row"]["uptimeSeconds"]
    assert after < before


def test_faults_are_ordered_listed_and_taken_back(api: httpx.Client) -> None:
    rule = {"effect": "ambient", "c": 45, "group": "gammas", "duration_s": 60}
    added = api.post("/control/faults", json=rule)
    assert added.status_code == 201
    rule_id = added.json()["id"]
    assert added.json()["matches"] == 2

    listed = api.get("/control/faults").json()
    (told,) = listed["faults"]
    assert (told["active"], told["matches"], told["c"]) == (True, 2, 45)
    assert {"fan_dead", "latency", "block_found"} <= {
        effect["name"] for effect in listed["effects"]
    }
    rows = api.get("/control/devices").json()["devices"]
    assert [row["faults"] for row in rows] == [[rule_id], [rule_id], []]

    api.post("/control/clock/advance", json={"seconds": 61})
    assert api.get("/control/faults").json()["faults"][0]["active"] is False
    assert api.delete(f"/control/faults/{rule_id}").status_code == 200
    assert api.delete(f"/control/faults/{rule_id}").status_code == 404


def test_several_devices_are_ordered_at_once_and_say_who_cannot(
    api: httpx.Client, fleet: RunningFleet
) -> None:
    new = api.post("/control/devices", json={"firmware": "2.15.0"}).json()["devices"]
    newest = new[0]["id"]
    api.post("/control/clock/advance", json={"seconds": 15})

    def order(name: str, *devices: str) -> dict[str, Any]:
        body = {"order": name, "devices": devices}
        told: dict[str, Any] = api.post("/control/devices/orders", json=body).json()
        return told

    def row() -> dict[str, Any]:
        (found,) = (
            one
            for one in api.get("/control/devices").json()["devices"]
            if one["id"] == newest
        )
        return dict(found)

    assert (row()["canPause"], row()["rssi"] < 0) == (True, True)
    assert row()["pool"] == api.get("/control/fleet").json()["pool"]["url"]
    paused = order("pause", "601-1", newest, "601-999", newest)
    assert paused["done"] == [newest]
    assert paused["refused"] == {
        "601-1": "order: firmware 2.12.2 has no 'pause'",
        "601-999": "device: there is no '601-999'",
    }
    assert row()["state"] == "paused"
    assert api.get("/control/fleet").json()["problems"] == 0
    assert order("resume", newest)["done"] == [newest]
    assert row()["state"] == "mining"
    assert order("identify", "601-1", newest)["refused"] == {}
    assert order("identify", "601-1", newest)["refused"] == {}
    restarted = order("restart", newest, "601-1")
    assert restarted == {"done": [newest, "601-1"], "refused": {}}
    api.post("/control/clock/advance", json={"seconds": 15})
    assert fleet["601-1"].info()["uptimeSeconds"] < 20
    assert order("remove", newest)["done"] == [newest]
    assert newest not in [device.id for device in fleet]


def test_a_fault_is_tried_changed_and_paused(api: httpx.Client) -> None:
    rule = {"effect": "ambient", "c": 45, "share": 0.5}
    tried = api.post("/control/faults?dry_run=true", json=rule)
    assert tried.status_code == 200
    assert api.get("/control/faults").json()["faults"] == []
    added = api.post("/control/faults", json=rule)
    assert added.json() == tried.json(), "it meets whom it was said to meet"
    path = f"/control/faults/{added.json()['id']}"
    ids = [row["id"] for row in api.get("/control/devices").json()["devices"]]

    change = {"device": ids[:2], "share": None}
    tried = api.patch(f"{path}?dry_run=true", json=change)
    assert tried.json()["devices"] == ids[:2]
    assert api.patch(path, json=change).json() == tried.json()
    refused = api.patch(path, json={"device": "*", "c": 400})
    assert (refused.status_code, refused.json()["error"][:2]) == (400, "c:")
    api.patch(path, json={"paused": True})
    (told,) = api.get("/control/faults").json()["faults"]
    assert (told["active"], told["matches"], told["devices"]) == (False, 2, ids[:2])
    assert api.get("/control/devices").json()["devices"][0]["effects"] == []
    api.patch(path, json={"paused": False, "duration_s": 60})
    (told,) = api.get("/control/faults").json()["faults"]
    assert told["active"]
    assert told["changes_at"] == told["ends_at"] == told["begins_at"] + 60
    assert api.patch("/control/faults/none", json={}).status_code == 404
    assert api.patch("/control/faults/none?dry_run=true", json={}).status_code == 404


def test_a_fault_for_nobody_tells_that_it_matches_none(api: httpx.Client) -> None:
    rule = {"effect": "fan_dead", "device": "nosuch"}

    added = api.post("/control/faults", json=rule)

    assert (added.status_code, added.json()["matches"]) == (201, 0)


@pytest.mark.unwatched
def test_an_hour_has_happened_when_the_call_returns() -> None:
    with ExitStack() as stack:
        one = stack.enter_context(running(control=True, speed=0, warm_up_s=60))
        client = httpx.Client(base_url=one.control_url, timeout=120)
        api = stack.enter_context(client)
        before = api.get("/control/fleet").json()
        uptime = one.info()["uptimeSeconds"]

        clock = api.post("/control/clock/advance", json={"seconds": 3600}).json()

        after = api.get("/control/fleet").json()
        assert clock["now"] == pytest.approx(before["now"] + 3600)
        assert one.info()["uptimeSeconds"] == uptime + 3600
        status = httpx.get(f"{one.url}/softaxe/status.json").json()
        assert status["fleetPage"] == f"{one.control_url}/#/devices/601-1"
        assert after["sharesAccepted"] > before["sharesAccepted"] + 400
        pool, told = after["pool"], before["pool"]
        devices = after["sharesAccepted"] + after["sharesRejected"]
        assert pool["sharesAccepted"] + pool["sharesRejected"] - (
            told["sharesAccepted"] + told["sharesRejected"]
        ) == devices - (before["sharesAccepted"] + before["sharesRejected"])
        history = api.get("/control/history").json()
        assert len(history["now"]) >= 360
        assert set(history["mining"][-300:]) == {1}
        assert set(history["problems"]) == {0}
        assert history["sharesAccepted"][-1] > history["sharesAccepted"][0] + 400


def test_the_clock_is_paused_and_sped_up(api: httpx.Client) -> None:
    assert api.get("/control/clock").json()["paused"] is True
    told = api.patch("/control/clock", json={"paused": False, "speed": 50}).json()
    assert (told["paused"], told["speed"]) == (False, 50)

    later = api.get("/control/clock").json()["now"]
    stopped = api.patch("/control/clock", json={"paused": True, "speed": 1}).json()

    assert stopped["now"] >= later > 0
    assert api.get("/control/clock").json()["now"] == stopped["now"]


def test_the_journal_knows_what_was_asked(
    api: httpx.Client, fleet: RunningFleet
) -> None:
    last = api.get("/control/journal").json()["last"]
    url = fleet["601-1"].url
    httpx.get(f"{url}/api/system/nothing?x=1")
    httpx.patch(
        f"{url}/api/system",
        json={"stratumPassword": "very secret", "statsFrequency": 30},
    )

    found = api.get("/control/journal", params={"after": last}).json()

    strange, change = found["entries"]
    assert (strange["device"], strange["unmatched"]) == ("601-1", True)
    assert (strange["path"], strange["query"]) == ("/api/system/nothing", "x=1")
    assert (change["method"], change["status"]) == ("PATCH", 200)
    assert json.loads(change["body"]) == {
        "stratumPassword": "***",
        "statsFrequency": 30,
    }
    chosen = api.get("/control/journal", params={"unmatched": "true"}).json()
    assert strange in chosen["entries"]
    assert change not in chosen["entries"]
    api.delete("/control/journal")
    assert api.get("/control/journal").json()["entries"] == []


def test_the_journal_knows_what_a_device_does_otherwise(
    api: httpx.Client, fleet: RunningFleet
) -> None:
    last = api.get("/control/journal").json()["last"]
    url = fleet["601-1"].url
    httpx.get(f"{url}/api/system/info")
    httpx.post(f"{url}/api/system/identify")
    httpx.patch(f"{url}/api/system", json={"hostname": "My Bitaxe"})

    def found(**query: bool) -> list[dict[str, Any]]:
        journal = api.get("/control/journal", params={"after": last, **query}).json()
        return list(journal["entries"])

    info, identify, change = found()
    assert (info["warnings"], info["differs"]) == ([], [])
    (told,) = identify["differs"]
    assert told.endswith("v2.12.2: plain text")
    (warning,) = change["warnings"]
    assert warning.startswith("hostname: 'My Bitaxe' may hold letters")
    assert found(differs=True) == [identify, change]
    assert found(warned=True) == [change]
    assert found(warned=False, differs=False) == [info]


def test_a_snapshot_brings_everything_back(
    api: httpx.Client, fleet: RunningFleet
) -> None:
    kept = fleet.faults.add("ambient", c=30, duration_s=3600)
    api.post("/control/clock/advance", json={"seconds": 60})
    taken = api.post("/control/snapshots", json={"name": "before"})
    assert taken.status_code == 201
    at = taken.json()["now"]
    before = fleet["601-1"].info()
    fleet["601-1"].patch(frequency=490)
    fleet.faults.add("fan_dead")
    api.post("/control/clock/advance", json={"seconds": 900})
    assert fleet["601-1"].info()["autofanspeed"] == 0, "it has overheated"
    fleet.faults.clear()
    other = fleet.faults.add("wifi_loss", start_s=86_400)
    gone = fleet.add(count=1)[0]

    restored = api.post("/control/snapshots/before/restore")

    assert restored.json()["now"] == pytest.approx(at)
    after = fleet["601-1"].info()
    for name in ("frequency", "overheat_mode", "temp", "uptimeSeconds", "bestDiff"):
        assert after[name] == before[name]
    assert gone.id not in [device.id for device in fleet]
    (rule,) = api.get("/control/faults").json()["faults"]
    assert (rule["id"], rule["active"]) == (kept, True)
    assert other != kept
    api.post("/control/clock/advance", json={"seconds": 120})
    assert fleet["601-1"].info()["sharesAccepted"] > before["sharesAccepted"]
    assert len(api.get("/control/snapshots").json()["snapshots"]) == 1
    assert api.delete("/control/snapshots/before").status_code == 200
    assert api.post("/control/snapshots/before/restore").status_code == 404


def test_reset_starts_over(api: httpx.Client, fleet: RunningFleet) -> None:
    fleet["601-1"].patch(statsFrequency=77)
    fleet.add(count=1)
    for removed in ("602-2", "601-4"):
        fleet[removed].patch(statsFrequency=77)
        fleet[removed].remove()
    api.patch("/control/clock", json={"speed": 50, "paused": False})

    assert api.post("/control/reset").status_code == 200

    assert len(fleet) == 3
    assert fleet.add(count=1)[0].id == "601-4"
    for device in fleet:
        info = device.info()
        assert info["statsFrequency"] != 77
        assert info["uptimeSeconds"] < 10
    fleet["601-4"].remove()
    clock = api.get("/control/clock").json()
    assert clock == {
        "now": 0,
        "speed": 1,
        "paused": True,
        "reachedSpeed": None,
        "lostSeconds": 0,
    }
    api.post("/control/clock/advance", json={"seconds": 15})
    assert api.get("/control/fleet").json()["mining"] == 3


def test_prometheus_reads_the_metrics(api: httpx.Client) -> None:
    families = {
        family.name: family
        for family in text_string_to_metric_families(api.get("/metrics").text)
    }

    powers = families["softaxe_power_watts"].samples
    assert {sample.labels["device"] for sample in powers} == {"601-1", "602-2", "402-3"}
    assert all(sample.value > 10 for sample in powers)
    assert families["softaxe_devices"].samples[0].value == 3
    (first, *_) = families["softaxe_device_info"].samples
    assert first.labels["firmware"] == "2.12.2"
    assert "softaxe_shares_accepted" in families


@each(
    ("method", "path", "body", "complaint"),
    [
        ("POST", "/control/devices", {"board": "9"}, "board: '9' is none of"),
        ("POST", "/control/devices", {"count": 0}, "count: 0 is no whole number"),
        ("POST", "/control/devices", {"colour": 1}, "colour is none of"),
        ("POST", "/control/devices", {"seed": 1}, "seed: 1 of group devices is"),
        ("POST", "/control/devices", {"settings": {"frequency": 0}}, "frequency"),
        (
            "POST",
            "/control/devices/orders",
            {"order": "explode", "devices": ["601-1"]},
            "order: 'explode' is none of restart, identify, pause, resume, press",
        ),
        ("POST", "/control/faults", {"effect": "x"}, "effect: 'x' is none of"),
        ("POST", "/control/clock/advance", {"seconds": -1}, "seconds: -1 is outside"),
        ("POST", "/control/clock/advance", {}, "has not one of seconds, until"),
        ("POST", "/control/clock/advance", {"seconds": 1, "until": 9}, "has not one"),
        ("POST", "/control/clock/advance", {"until": 1e9}, "until: 1000000000.0 is ou"),
        ("PATCH", "/control/clock", {"speed": 0}, "speed: 0 is outside 0.01..10000"),
        ("PATCH", "/control/clock", {"paused": 1}, "paused: 1 is neither true"),
        ("PATCH", "/control/clock", {"pace": 1}, "pace is none of speed, paused"),
        ("POST", "/control/clock/advance", {"seconds": 1, "x": 1}, "x is none of sec"),
        ("POST", "/control/devices", {"pool": "a b"}, "group: pool: 'a b' names no"),
        ("GET", "/control/devices?state=foo", None, "state: 'foo' is none of mining"),
        ("GET", "/control/devices?groups=a", None, "groups is none of group, state"),
        ("GET", "/control/devices?fields=id,heat", None, "fields: 'heat' is none of"),
        ("GET", "/control/devices?since=0&state=away", None, "since: it goes with"),
        ("GET", "/control/devices?limit=-1", None, "limit: '-1' is no whole number"),
        ("GET", "/control/journal?limit=0", None, "limit: 0 is no whole number of 1"),
        ("GET", "/control/journal?status=9999", None, "9999 is no whole number of 0"),
        ("GET", "/control/journal?unmatched=1", None, "unmatched: '1' is neither"),
        ("GET", "/control/fleet?x=1", None, "x: nothing is taken"),
        ("POST", "/control/snapshots", {"name": ""}, "name: '' is no text"),
        ("POST", "/control/snapshots", {"name": ".."}, "name: '..' cannot be a part"),
        ("POST", "/control/snapshots", [], "no JSON object"),
    ],
)
def test_what_is_not_allowed_is_told_and_changes_nothing(
    api: httpx.Client, method: str, path: str, body: Any, complaint: str
) -> None:
    before = api.get("/control/fleet").json()

    answer = api.request(method, path, json=body)

    assert answer.status_code == 400
    assert complaint in answer.json()["error"]
    assert api.get("/control/fleet").json() == before


def test_a_device_is_removed_once_however_many_want_it(api: httpx.Client) -> None:
    (new,) = api.post("/control/devices", json={"count": 1}).json()["devices"]
    path = f"/control/devices/{new['id']}"
    with ThreadPoolExecutor() as pool:
        # Whatever changes the devices has to wait for what changes them already.
        # They have another board: who follows on one that is gone gets its number.
        more = {"count": 40, "board": "602"}
        others = pool.submit(api.post, "/control/devices", json=more)
        removed = list(pool.map(api.delete, [path] * 3))

    assert sorted(answer.status_code for answer in removed) == [200, 404, 404]
    assert all(answer.json() is not None for answer in removed)
    for device in others.result().json()["devices"]:
        api.delete(f"/control/devices/{device['id']}")


@each(
    ("path", "body", "name"),
    [
        ("faults", r'{"effect": "fan_dead", "id": "\ud800", "share": 0.5}', "id"),
        ("snapshots", r'{"name": "\ud800"}', "name"),
        ("devices", r'{"user": "\ud800"}', "user"),
        ("devices", r'{"settings": {"hostname": "\udfff"}}', "settings"),
        ("faults", r'{"\ud800": 1}', "ud800"),
    ],
)
def test_half_characters_are_refused_before_they_are_anywhere(
    api: httpx.Client, path: str, body: str, name: str
) -> None:
    before = api.get(f"/control/{path}").json()

    answer = api.post(f"/control/{path}", content=body)

    assert answer.status_code == 400
    assert name in answer.json()["error"]
    assert "surrogate" in answer.json()["error"]
    assert api.get(f"/control/{path}").json() == before


def test_other_sites_and_names_are_refused(api: httpx.Client) -> None:
    own = str(api.base_url).rstrip("/")
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = api.delete("/control/journal", headers=headers)
        assert answer.status_code == 403, headers

    assert api.get("/control/health", headers={"Origin": own}).status_code == 200


def test_two_hosts_are_none(fleet: RunningFleet) -> None:
    host, port = fleet.control_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"GET /control/fleet HTTP/1.1\r\n")
        client.sendall(b"Host: 127.0.0.1\r\nHost: evil.example\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_head_answers_as_get_without_a_body(api: httpx.Client) -> None:
    answer = api.head("/control/health")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len('{"status":"ok"}')


def test_bodies_are_bounded_and_strange_paths_lead_nowhere(api: httpx.Client) -> None:
    assert api.post("/control/faults", content=b"[" * 70_000).status_code == 400
    assert api.post("/control/faults", content=b"{").status_code == 400
    assert api.get("/control/nothing").status_code == 404
    assert api.get("/..%2f..%2fserver.py").status_code == 404
    for path in ("/control/clock", "/control/faults/x", "/control/nothing"):
        refused = api.put(path)
        assert refused.status_code == 405
        assert refused.json()["error"].startswith(f"PUT: {path} is not to be had")


def test_every_operation_is_documented(api: httpx.Client) -> None:
    paths = api.get("/control/openapi.json").json()["paths"]

    documented = {(m.upper(), path) for path, ms in paths.items() for m in ms}
    assert documented == {(o.method, o.path) for o in OPERATIONS}


def test_the_process_ends_when_asked() -> None:
    with running(control=True, warm_up_s=0) as devices:
        (thread,) = [t for t in threading.enumerate() if t.name == "softaxe"][-1:]
        answer = httpx.post(f"{devices.control_url}/control/shutdown")
        thread.join(10)

        assert answer.status_code == 200
        assert not thread.is_alive()


def test_long_answers_are_packed_for_who_takes_that(api: httpx.Client) -> None:
    path = "/control/openapi.json"

    packed, plain = (
        api.get(path, headers={"Accept-Encoding": wanted})
        for wanted in ("gzip", "identity")
    )

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 4
    assert packed.json() == plain.json()
    assert "Content-Encoding" not in api.get("/control/health").headers
