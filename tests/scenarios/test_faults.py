"""What each fault does to a device that somebody watches from outside."""

import json
import socket
import struct
import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import mean
from typing import Any, Literal

import httpx
import pytest

from softaxe.errors import SettingError
from softaxe.testing.options import EffectName, FaultOptions
from softaxe.testing.run import MakeDevices, RunningFleet, running

MINUTES = 60


@pytest.fixture(scope="module")
def warm() -> Iterator[RunningFleet]:
    """A device that has mined for a while; its time stands still between steps."""
    with running(speed=0, control=True) as device:
        device.clock.advance(5 * MINUTES)
        body = {"name": "warm"}
        httpx.post(f"{device.control_url}/control/snapshots", json=body)
        yield device


@pytest.fixture
def gamma(warm: RunningFleet) -> RunningFleet:
    """That device, as it was when nobody had done anything to it."""
    url = f"{warm.control_url}/control/snapshots/warm/restore"
    httpx.post(url).raise_for_status()
    warm.clock.advance(10)  # it logs in to its pool again
    return warm


@pytest.fixture
def fresh() -> Iterator[RunningFleet]:
    """For what does not ask whether it mines, or is warm."""
    with running(speed=0) as device:
        yield device


def info_after(device: RunningFleet, seconds: float) -> dict[str, Any]:
    device.clock.advance(seconds)
    return device.info()


def get(device: RunningFleet, path: str = "/api/system/info") -> httpx.Response:
    return httpx.get(device.url + path, timeout=60)


def test_hot_air_makes_it_hot(gamma: RunningFleet) -> None:
    before = gamma.info()
    gamma.faults.add("ambient", c=35)

    after = info_after(gamma, 20 * MINUTES)

    assert after["fanspeed"] > before["fanspeed"] + 5


@pytest.mark.parametrize(
    ("effect", "turns"), [("fan_dead", False), ("fan_blocked", True)]
)
def test_without_air_it_overheats_and_says_so(
    gamma: RunningFleet, effect: EffectName, turns: bool
) -> None:
    gamma.faults.add(effect)
    assert (info_after(gamma, 10)["fanrpm"] > 0) is turns

    after = info_after(gamma, 10 * MINUTES)

    assert after["overheat_mode"] == 1
    assert after["fanspeed"] == 100
    assert after["temp"] == -1, "the chip is off"
    assert after["power"] < 6


def test_a_dying_chip_makes_errors_and_less(gamma: RunningFleet) -> None:
    before = info_after(gamma, 10 * MINUTES)
    gamma.faults.add("chip_dying", v=0.14)

    after = info_after(gamma, 10 * MINUTES)

    assert after["errorPercentage"] > before["errorPercentage"] + 0.5
    assert after["hashRate_1m"] < 0.95 * before["hashRate_1m"]


def test_a_dead_chip_takes_those_behind_it_along() -> None:
    with running(board="hex", speed=0) as device:
        before = info_after(device, 5 * MINUTES)
        device.faults.add("chip_dead", chip=4)
        after = info_after(device, 5 * MINUTES)

    assert after["power"] < 0.65 * before["power"], "three of six no longer switch"


def test_a_failed_regulator_is_told_and_stops_the_chip(fresh: RunningFleet) -> None:
    fresh.faults.add("regulator_fault")

    after = info_after(fresh, 1 * MINUTES)

    assert after["power_fault"]
    assert after["coreVoltageActual"] == 0


@pytest.mark.parametrize(("board", "stays_off"), [("204", True), ("205", False)])
def test_without_its_plug_a_board_may_keep_its_chip_off(
    board: str, stays_off: bool
) -> None:
    with running(board=board, speed=0) as device:
        device.faults.add("plug_missing")
        assert info_after(device, 1 * MINUTES)["coreVoltageActual"] > 0

        device[0].restart()
        after = info_after(device, 1 * MINUTES)

        assert (after["coreVoltageActual"] == 0) is stays_off
        assert (after["hashRate"] == 0) is stays_off


def test_a_weak_supply_shows_in_the_voltage(fresh: RunningFleet) -> None:
    before = fresh.info()["voltage"]
    fresh.faults.add("supply_sag", v=0.3)

    assert info_after(fresh, 10)["voltage"] == pytest.approx(before - 300, abs=60)


def test_a_brown_out_switches_the_regulator_off(fresh: RunningFleet) -> None:
    fresh.faults.add("supply_sag", v=1.0)

    assert info_after(fresh, 1 * MINUTES)["power_fault"]


@pytest.mark.parametrize(("board", "sag_v"), [("302", 3.0), ("601", 1.0)])
def test_after_a_brown_out_the_chips_are_silent_until_a_restart(
    board: str, sag_v: float
) -> None:
    with running(board=board, speed=0) as device:
        before = info_after(device, 5 * MINUTES)
        sag = device.faults.add("supply_sag", v=sag_v)
        info_after(device, 5)
        device.faults.remove(sag)
        again = info_after(device, 20)
        after = info_after(device, 5 * MINUTES)

        assert after["coreVoltageActual"] > 1000, "the output comes back by itself"
        assert after["sharesAccepted"] == again["sharesAccepted"]
        assert after["hashRate"] == again["hashRate"], "the last one read"
        assert after["power"] < 0.5 * before["power"]

        device[0].restart()
        assert info_after(device, 5 * MINUTES)["sharesAccepted"] > 5


def test_a_stuck_sensor_shows_the_same_whatever_happens(fresh: RunningFleet) -> None:
    fresh.faults.add("sensor_stuck", c=42.0)
    fresh.faults.add("sensor_stuck", sensor="vr", c=50.0)
    fresh.faults.add("fan_dead")

    after = info_after(fresh, 3 * MINUTES)

    assert (after["temp"], after["vrTemp"]) == (42, 50)
    assert after["overheat_mode"] == 0


def test_a_fault_that_ends_lets_the_device_recover(gamma: RunningFleet) -> None:
    def fan_percent() -> float:
        return float(mean(info_after(gamma, 10)["fanspeed"] for _ in range(20)))

    before = fan_percent()
    gamma.faults.add("ambient", c=30, duration_s=600)
    assert info_after(gamma, 590)["fanspeed"] > before + 5

    gamma.clock.advance(1800)
    assert fan_percent() == pytest.approx(before, abs=4)


def test_without_wifi_nobody_answers_until_there_is_one_again(
    gamma: RunningFleet,
) -> None:
    url = f"{gamma.url}/api/system/info"
    lost = gamma.faults.add("wifi_loss")
    for _ in range(2):  # at once, and when the device has noticed
        with pytest.raises(httpx.ConnectTimeout):
            httpx.get(url, timeout=0.2)
        gamma.clock.advance(60)

    gamma.faults.remove(lost)
    gamma.clock.advance(60)

    assert httpx.get(url, timeout=5).status_code == 200
    assert info_after(gamma, 60)["sharesAccepted"] >= 0


def test_a_silent_device_mines_on_and_is_back_at_once(gamma: RunningFleet) -> None:
    url, accepted = f"{gamma.url}/api/system/info", gamma.info()["sharesAccepted"]
    silent = gamma.faults.add("silent")
    with pytest.raises(httpx.ConnectTimeout):
        httpx.get(url, timeout=0.2)
    gamma.clock.advance(60)
    assert gamma.info()["sharesAccepted"] > accepted

    gamma.faults.remove(silent)

    assert httpx.get(url, timeout=5).json()["sharesAccepted"] > accepted


def test_a_device_that_is_away_can_be_refused(fresh: RunningFleet) -> None:
    url = f"{fresh.url}/api/system/info"
    fresh.faults.add("away_refused")
    assert httpx.get(url, timeout=5).status_code == 200
    fresh.restart()
    fresh.clock.advance(2)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, timeout=5)
    fresh.clock.advance(10)
    assert httpx.get(url, timeout=5).status_code == 200

    lost = fresh.faults.add("wifi_loss")
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, timeout=5)
    fresh.faults.remove(lost)
    fresh.clock.advance(60)
    assert httpx.get(url, timeout=5).status_code == 200


def test_the_others_answer_while_one_is_away(
    bitaxe_factory: MakeDevices,
) -> None:
    gone, there = bitaxe_factory(count=2, speed=0)
    gone.faults.add("silent")

    with pytest.raises(httpx.ConnectTimeout):
        httpx.get(gone.url, timeout=0.2)
    assert httpx.get(there.url, timeout=5).status_code == 200


def test_the_primary_pool_goes_and_comes_back(fresh: RunningFleet) -> None:
    down = fresh.faults.add("pool_down", which="primary")
    assert info_after(fresh, 3 * MINUTES)["isUsingFallbackStratum"] == 1
    accepted = fresh.info()["sharesAccepted"]
    assert info_after(fresh, 2 * MINUTES)["sharesAccepted"] > accepted

    fresh.faults.remove(down)

    assert info_after(fresh, 3 * MINUTES)["isUsingFallbackStratum"] == 0


def test_without_any_pool_it_only_waits(gamma: RunningFleet) -> None:
    gamma.faults.add("pool_down")

    accepted = info_after(gamma, 1 * MINUTES)["sharesAccepted"]

    assert info_after(gamma, 5 * MINUTES)["sharesAccepted"] in {accepted, 0}


def test_a_silent_pool_brings_no_share_home(fresh: RunningFleet) -> None:
    fresh.faults.add("pool_silent")
    before = info_after(fresh, 5)["sharesAccepted"]

    assert info_after(fresh, 60)["sharesAccepted"] == before


@pytest.mark.parametrize(
    ("effect", "members", "reason"),
    [
        ("pool_reject", {"reason": "Go away"}, "Go away"),
        ("pool_stale_jobs", {}, "Job not found"),
    ],
)
def test_rejected_shares_are_counted_with_their_reason(
    gamma: RunningFleet, effect: EffectName, members: FaultOptions, reason: str
) -> None:
    gamma.faults.add(effect, **members)

    after = info_after(gamma, 2 * MINUTES)

    assert after["sharesRejected"] > 3
    assert after["sharesRejectedReasons"][0]["message"] == reason
    assert gamma.pool.info()["sharesRejected"][reason] == after["sharesRejected"]


def test_the_pool_jumps_to_another_difficulty(fresh: RunningFleet) -> None:
    before = fresh.info()["poolDifficulty"]
    jump = fresh.faults.add("pool_difficulty", difficulty=123456)
    assert info_after(fresh, 5)["poolDifficulty"] == 123456

    fresh.faults.remove(jump)

    assert info_after(fresh, 5)["poolDifficulty"] == before


def test_it_connects_anew_when_the_pool_asks_to(fresh: RunningFleet) -> None:
    connections = sum("worker" in line for line in fresh.pool.journal)
    fresh.faults.add("pool_reconnect")
    fresh.clock.advance(60)

    assert sum("worker" in line for line in fresh.pool.journal) == connections + 1
    assert fresh.pool.info()["connections"] == 1


def test_answers_take_a_while_however_fast_time_goes(gamma: RunningFleet) -> None:
    gamma.patch(statsFrequency=5)

    told = [info_after(gamma, 30)["responseTime"] for _ in range(8)]

    assert all(10 < one < 400 for one in told)
    assert len(set(told)) > 4
    url = f"{gamma.url}/api/system/statistics?columns=responseTime"
    rows = httpx.get(url).json()["statistics"]
    assert all(row[0] > 10 for row in rows)


@pytest.mark.parametrize(
    ("profile", "shown"), [("firmware", 2**31 - 1), ("documented", 10**15 - 1)]
)
def test_no_difficulty_is_wider_than_a_device_has_it(
    bitaxe_factory: MakeDevices, profile: Literal["firmware", "documented"], shown: int
) -> None:
    gamma = bitaxe_factory(speed=0, profile=profile)
    gamma.faults.add("pool_difficulty", difficulty=1e18)

    assert info_after(gamma, 60)["poolDifficulty"] == shown
    raw = gamma.call(lambda fleet: fleet.members["601-1"].info_body())
    assert f'"poolDifficulty":\t{shown},'.encode() in raw


def test_the_next_share_is_a_block(gamma: RunningFleet) -> None:
    before = gamma.info()
    assert before["blockFound"] == 0
    fault = gamma.faults.add("block_found")

    infos = [info_after(gamma, 5) for _ in range(24)]
    gamma.faults.remove(fault)
    infos += [info_after(gamma, 5) for _ in range(12)]

    after = infos[-1]
    assert after["blockFound"] == 1
    found = [info for info in infos if info["blockFound"]]
    assert all(info["bestDiff"] >= info["networkDifficulty"] for info in found)
    assert {info["networkDifficulty"] for info in infos} == {
        before["networkDifficulty"]
    }
    assert after["bestDiff"] > 2**32
    pool = gamma.pool.info()
    assert pool["blocksFound"] == 1
    assert sum(pool["sharesRejected"].values()) == 0
    (worker,) = pool["workers"].values()
    assert worker["bestDifficulty"] * 2**32 >= after["networkDifficulty"]


def test_it_reboots_again_and_again(fresh: RunningFleet) -> None:
    fresh.faults.add("reboot_loop", period_s=20)

    uptimes = [info_after(fresh, 7)["uptimeSeconds"] for _ in range(12)]

    assert max(uptimes[3:]) <= 20
    assert sum(b < a for a, b in pairwise(uptimes)) >= 3
    assert fresh.info()["resetReason"] == "Software reset due to exception/panic"


def test_memory_runs_out_and_it_crashes(fresh: RunningFleet) -> None:
    before = fresh.info()["freeHeapInternal"]
    fresh.faults.add("heap_exhaustion", bytes_per_s=500)
    assert info_after(fresh, 60)["freeHeapInternal"] < before - 25_000

    after = info_after(fresh, 200)

    assert after["uptimeSeconds"] < 120
    assert after["resetReason"] == "Software reset due to exception/panic"


def test_an_update_is_refused_while_it_is_written(fresh: RunningFleet) -> None:
    fresh.faults.add("ota_failing")

    answer = httpx.post(f"{fresh.url}/api/system/OTA", content=b"x" * 100, timeout=60)

    assert (answer.status_code, answer.text) == (500, "Write Error")


# Requests


def test_an_answer_comes_late(fresh: RunningFleet) -> None:
    rule_id = fresh.faults.add("latency", ms=150, route="/api/system/info")

    get(fresh, "/api/system/asic")
    began = time.monotonic()
    get(fresh)

    assert time.monotonic() - began > 0.15
    assert [entry.fault for entry in fresh.journal] == [None, rule_id]


def test_an_answer_is_an_error_and_the_journal_says_why(fresh: RunningFleet) -> None:
    rule_id = fresh.faults.add("status", code=503)

    assert get(fresh).status_code == 503
    assert fresh.journal[-1].fault == rule_id


def test_an_answer_breaks_off(fresh: RunningFleet) -> None:
    fresh.faults.add("truncated_json")

    with pytest.raises(httpx.RemoteProtocolError):
        get(fresh)


def test_a_connection_is_reset(fresh: RunningFleet) -> None:
    fresh.faults.add("reset")

    with pytest.raises(httpx.TransportError):
        get(fresh)


def test_a_request_is_never_answered(fresh: RunningFleet) -> None:
    fresh.faults.add("timeout")

    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{fresh.url}/api/system/info", timeout=0.3)


def test_an_answer_trickles(fresh: RunningFleet) -> None:
    fresh.faults.add("bandwidth", bytes_per_s=10_000)

    began = time.monotonic()
    answer = get(fresh)

    assert json.loads(answer.content)
    assert time.monotonic() - began > len(answer.content) / 10_000 * 0.8


def test_it_is_short_of_sockets(fresh: RunningFleet) -> None:
    fresh.faults.add("socket_limit", sockets=1)
    host, port = fresh.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as other:
        assert get_raw(other)
        with pytest.raises(httpx.TransportError):
            get(fresh)
        linger = struct.pack("ii", 1, 0)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert get(fresh).status_code == 200
        except httpx.TransportError:
            continue
        break
    else:
        pytest.fail("the socket is free again")


def get_raw(sock: socket.socket) -> bytes:
    sock.sendall(b"GET /api/system/asic HTTP/1.1\r\nHost: bitaxe\r\n\r\n")
    return sock.recv(65536)


def test_a_dead_domain_finds_nothing_and_the_others_go_on(gamma: RunningFleet) -> None:
    before = mean(info_after(gamma, 5)["hashRate"] for _ in range(12))
    for domain in (2, 3):
        gamma.faults.add("domain_dead", domain=domain)
    gamma.clock.advance(10)

    infos = [info_after(gamma, 5) for _ in range(24)]

    domains = [info["hashrateMonitor"]["asics"][0]["domains"] for info in infos]
    assert all(one[1] == one[2] == 0 for one in domains)
    assert all(one[0] > 150 and one[3] > 150 for one in domains)
    assert 0.42 < mean(info["hashRate"] for info in infos) / before < 0.58
    for info, one in zip(infos, domains, strict=True):
        assert abs(sum(one) - info["hashRate"]) < 2
    assert gamma.info()["sharesAccepted"] > infos[0]["sharesAccepted"], "it mines on"
    gamma.faults.clear()
    gamma.clock.advance(10)
    assert info_after(gamma, 5)["hashrateMonitor"]["asics"][0]["domains"][1] > 150


def test_a_counter_that_jumps_is_seen_once(gamma: RunningFleet) -> None:
    gamma.faults.add("counter_glitch", domain=4, ths=200)

    rates = [info_after(gamma, 5)["hashRate"] for _ in range(6)]

    assert sum(rate > 100_000 for rate in rates) == 1
    assert sum(900 < rate < 1250 for rate in rates) == 5


def test_errors_and_losses_are_two_things(gamma: RunningFleet) -> None:
    def means() -> tuple[float, float]:
        infos = [info_after(gamma, 5) for _ in range(40)]
        return mean(one["hashRate"] for one in infos), mean(
            one["errorPercentage"] for one in infos
        )

    whole_ghs, errors = means()
    gamma.faults.add("unstable", errors_percent=4)
    gamma.clock.advance(10)
    ghs, more_errors = means()
    assert abs(ghs / whole_ghs - 1) < 0.03
    assert 3 < more_errors - errors < 5

    gamma.faults.clear()
    gamma.faults.add("unstable", errors_percent=0, loss_percent=40)
    gamma.clock.advance(10)
    ghs, no_more_errors = means()
    assert 0.55 < ghs / whole_ghs < 0.65
    assert abs(no_more_errors - errors) < 0.5


def test_what_does_not_answer_reads_as_nothing_while_shares_flow(
    gamma: RunningFleet,
) -> None:
    before = gamma.info()
    for sensor in ("chip", "power", "fan"):
        gamma.faults.add("sensor_absent", sensor=sensor)

    after = info_after(gamma, 2 * MINUTES)

    shown = [after[name] for name in ("power", "voltage", "current", "temp", "fanrpm")]
    assert shown == [0, 0, 0, -1, 0]
    assert (after["vrTemp"], after["coreVoltageActual"]) == (0, 0), "one chip measures"
    assert after["fanspeed"] == 100, "as it does not know how hot it is"
    assert after["sharesAccepted"] > before["sharesAccepted"]
    assert after["hashRate"] > 900


def test_a_fan_without_tachometer_turns(gamma: RunningFleet) -> None:
    before = gamma.info()
    gamma.faults.add("tach_dead")

    after = info_after(gamma, 10 * MINUTES)

    assert after["fanrpm"] == 0 < before["fanrpm"]
    assert abs(after["temp"] - before["temp"]) < 2
    assert after["overheat_mode"] == 0


def test_a_half_erased_page_makes_room_for_the_recovery(fresh: RunningFleet) -> None:
    fault = fresh.faults.add("www_erased")

    page = get(fresh, "/")

    assert "Recovery" in page.text
    assert fresh.info()["axeOSVersion"] == ""
    fresh.faults.remove(fault)
    assert "Recovery" not in get(fresh, "/").text


def test_a_page_of_another_version_tells_it(fresh: RunningFleet) -> None:
    fault = fresh.faults.add("www_mismatch", version="v2.11.0")

    told = fresh.info()["axeOSVersion"], get(fresh, "/version.txt").text

    assert told == ("v2.11.0", "v2.11.0")
    assert fresh.info()["version"] == "v2.12.2"
    fresh.faults.remove(fault)
    assert fresh.info()["axeOSVersion"] == "v2.12.2"


def test_faults_find_devices_by_all_their_names() -> None:
    with running(count=2, speed=0, settings={"hostname": "miner-{n}"}) as fleet:
        second = fleet[1]
        mac, address = second.info()["macAddr"], second.url.removeprefix("http://")
        for pattern in ("miner-2", "MINER-2", mac, mac.lower(), address, "601-2"):
            fault = fleet.faults.add("fan_dead", device=pattern)
            met = fleet.call(
                lambda fleet: [
                    member.id
                    for member in fleet.members.values()
                    if fleet.faults.at_work_on(member)
                ]
            )
            assert met == ["601-2"], pattern
            fleet.faults.remove(fault)
        with pytest.raises(SettingError, match="there is none like 'miner-9'"):
            fleet.faults.add("fan_dead", device="miner-9")
