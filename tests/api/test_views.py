import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.each import each

from softaxe import Device, Pool, Simulation, cjson
from softaxe.api import views
from softaxe.api.schema import info_fields, offered_columns
from softaxe.catalog import board
from softaxe.catalog.firmware import firmware, versions
from softaxe.device.events import SaveSettings
from softaxe.device.faults import NO_FAULTS, DeviceFaults
from softaxe.device.memory import Heap
from softaxe.device.mining import BlockInfo
from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.device.protection import Readings, Reduction
from softaxe.device.settings import Settings
from softaxe.device.state import AsicReading
from softaxe.device.statistics import RejectedReason, ShareCounters
from softaxe.json_values import JsonValue
from softaxe.units import float32

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def device() -> Device:
    simulation = Simulation(
        Device(seed=1, settings={"statsFrequency": 30}), Pool.for_scaled_work(seed=1)
    )
    simulation.advance(240)
    simulation.device.shares.reject("Stale")
    return simulation.device


def read(body: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(body)
    return answer


def sample_device() -> Device:
    """A device in the state of the page's sample."""
    settings = Settings.from_nvs(
        {
            "wifissid": "HomeNET",
            "asicfrequency_f": 525.0,
            "asicvoltage": 1150,
            "fanspeed": 100,
        },
        board("601"),
    )
    sample = SimpleNamespace(
        board=board("601"),
        firmware=firmware(),
        settings=settings,
        identity=SimpleNamespace(mac_text="10:F5:12:33:BB:F0"),
        ipv4="10.1.10.111",
        ipv6="FE80::F2F5:BDFF:FE44:B2F0",
        readings=Readings(
            power_w=18.7522583,
            input_voltage_v=5.09375,
            temp_c=60.125,
            vr_temp_c=62.0,
            fan_percent=48.4200668,
            fan_rpm=3915,
        ),
        second_temperature_c=-1.0,
        current_a=12.015625,
        tells_overheat=False,
        core_voltage_actual_v=1.14453125,
        hashrate=SimpleNamespace(
            current_hs=1072.2407227e9,
            one_minute_hs=1088.9354248e9,
            ten_minutes_hs=1072.3271484e9,
            one_hour_hs=1071.8736572e9,
        ),
        expected_hashrate_hs=1071e9,
        error_percentage=0.0,
        best_difficulty=49224525,
        best_session_difficulty=2038368,
        pool_difficulty=1000,
        is_using_fallback=True,
        pool_address_family=2,
        heap=Heap(internal=104027, spiram=8140652),
        radio=SimpleNamespace(
            status_text="Connected!", rssi_dbm=-44, is_ap_enabled=False
        ),
        shares=ShareCounters(4768, 13, [RejectedReason("Stale", 13)]),
        told_uptime_s=18574,
        response_time_ms=188.482,
        version="v2.12.2",
        axeos_version="v2.12.2",
        idf_version="v5.5.1",
        reset_reason="Software reset via esp_restart",
        running_partition="factory",
        blocks_found=0,
        power_fault=None,
        block=BlockInfo(
            931409, "...._i.F.W...ckpool./solo.ckpool.org/", 146472570619930
        ),
        asics=[
            AsicReading(
                1072.2407227e9,
                (273.5812073e9, 276.209198e9, 268.4890747e9, 252.1910095e9),
                1415,
            )
        ],
    )
    return cast(Device, sample)


def test_the_sample_of_the_page_to_the_byte() -> None:
    expected = (DATA / "info-sample.json").read_bytes().rstrip()

    assert views.info_body(sample_device()) == expected


def test_a_power_fault_stands_before_the_block() -> None:
    device = sample_device()
    fault: Any = device
    fault.power_fault = "Power Fault Detected."
    fault.block = BlockInfo(931409, None, 146472570619930)

    text = views.info_body(device).decode()

    assert '\t"blockFound":\t0,\n\t"power_fault":\t"Power Fault Detected.",\n' in text
    assert '\t"blockHeight":\t931409,\n\t"networkDifficulty":\t1464' in text
    assert list(json.loads(text)) == [
        row.name for row in info_fields(firmware()) if row.name != "scriptsig"
    ]


@pytest.mark.unwatched
def test_info_is_laid_out_as_the_page_shows_it(device: Device) -> None:
    text = views.info_body(device).decode()

    assert text.startswith('{\n\t"power":\t18.')
    assert text.endswith("\n\t\t\t}]\n\t}\n}")
    reasons = (
        '\t"sharesRejectedReasons":\t[{\n\t\t\t"message":\t"Stale",\n\t\t\t"count"'
    )
    assert reasons in text
    assert '\t"hashrateMonitor":\t{\n\t\t"asics":\t[{\n\t\t\t\t"total":\t' in text


@pytest.mark.unwatched
def test_types_are_the_firmware_s(device: Device) -> None:
    answer = read(views.info_body(device))

    for name in ("power", "voltage", "current", "temp", "fanspeed", "bestDiff"):
        assert isinstance(answer[name], int | float)
    assert not any(isinstance(value, bool) for value in answer.values())
    assert answer["stratumExtranonceSubscribe"] == 0
    assert answer["isPSRAMAvailable"] == 1
    assert answer["poolAddrFamily"] == 2
    assert answer["networkDifficulty"] == 146472570619930
    assert len(answer["hashrateMonitor"]["asics"][0]["domains"]) == 4


def test_a_new_device_has_no_block_and_no_chips() -> None:
    device = Device()
    device.step(1.0)

    answer = read(views.info_body(device))

    assert "blockHeight" not in answer
    assert "networkDifficulty" not in answer
    assert "power_fault" not in answer
    assert answer["hashrateMonitor"] == {"asics": []}
    assert answer["temp"] == -1
    assert answer["apEnabled"] == 1
    assert answer["wifiRSSI"] == -90
    assert answer["sharesRejectedReasons"] == []


@each("release", ["2.9.0", "2.12.2", "2.15.0"])
def test_what_is_kept_of_info_is_what_would_be_printed_anew(release: str) -> None:
    device = Device(seed=1, firmware=release, www={"/version.txt": b"100% mine"})
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    info, bodies = views.Info(), []

    def told() -> bytes:
        body = info.body(device)
        assert body == views.info_body(device)
        bodies.append(body)
        return body

    def patch(name: str, value: JsonValue) -> None:
        device.patch([(name, value)], device.now)

    told()
    simulation.advance(20)
    assert told() == told()
    patch("hostname", "a-100-percent-miner")
    assert b"a-100-percent-miner" in told()
    patch("autofanspeed", 0)
    patch("stratumUser", "100%s")
    assert b"100%s" in told()
    device.set_faults(DeviceFaults(www_version="100%d"), device.now)
    told()
    device.set_faults(NO_FAULTS, device.now)
    told()
    simulation.advance(40)
    told()
    patch("rotation", 180)
    requests = [one for one in device.events() if isinstance(one, SaveSettings)]
    told()
    device.settings_not_saved(requests[-1])
    told()
    device.restart(device.now)
    simulation.advance(3)
    told()
    assert len(set(bodies)) > 6


def test_what_is_told_of_one_object_reads_that_alone(device: Device) -> None:
    fields = {field for one in versions() for field in info_fields(firmware(one))}

    still = [field for field in fields if field.of]

    assert len({field.name for field in still}) > 50
    for field in still:
        alone: Any = SimpleNamespace(**{field.of: getattr(device, field.of)})
        assert field.get(alone) == field.get(device)


def test_secrets_are_in_no_view(device: Device) -> None:
    device.patch([("wifiPass", "geheim-geheim")], device.now)

    for view in (views.info_body, views.theme_body, views.asic_body):
        assert b"geheim" not in view(device)
    names = read(views.info_body(device))
    assert not {"wifiPass", "stratumPassword", "useFallbackStratum"} & set(names)


def test_strings_of_others_are_escaped(device: Device) -> None:
    device.shares.reject('say "hi"\n\x01</script>')

    answer = read(views.info_body(device))

    messages = [reason["message"] for reason in answer["sharesRejectedReasons"]]
    assert 'say "hi"\n\x01</script>' in messages


def test_asic_has_the_board_s_options(device: Device) -> None:
    assert read(views.asic_body(device)) == {
        "ASICModel": "BM1370",
        "deviceModel": "Gamma",
        "swarmColor": "green",
        "asicCount": 1,
        "hashDomains": 4,
        "defaultFrequency": 525,
        "frequencyOptions": [400, 490, 525, 550, 600, 625],
        "defaultVoltage": 1150,
        "voltageOptions": [1000, 1060, 1100, 1150, 1200, 1250],
    }


@pytest.mark.unwatched
@each(
    ("query", "labels"),
    [
        ("columns=power,hashrate", ["hashrate", "power"]),
        ("COLUMNS=power", ["power"]),
        ("columns=power,power,nonsense", ["power"]),
        ("columns=power&columns=hashrate", ["power"]),
        ("columns=hashrate%2Cpower", ["hashrate", "power"]),
        ("columns=responseTime", ["responseTime"]),
        ("columns=Power", None),
        ("columns=timestamp", None),
        ("columns=", None),
        ("other=1", None),
        ("", None),
    ],
)
def test_columns_are_picked_by_the_query(
    device: Device, query: str, labels: list[str] | None
) -> None:
    answer = read(views.statistics_body(device, query))

    expected = (
        [column.label for column in offered_columns(firmware(), DOCUMENTED)]
        if labels is None
        else labels
    )
    assert answer["labels"] == [*expected, "timestamp"]
    assert len(answer["statistics"]) > 3
    assert all(len(row) == len(answer["labels"]) for row in answer["statistics"])


def test_the_firmware_knows_neither_response_time_nor_percent_signs() -> None:
    device = Device(profile=FIRMWARE)

    for query in ("", "columns=hashrate%2Cpower", "columns=responseTime"):
        labels = read(views.statistics_body(device, query))["labels"]
        assert len(labels) == 17
        assert "responseTime" not in labels


def test_without_samples_the_table_is_empty() -> None:
    answer = read(views.statistics_body(Device(), ""))

    assert answer["statistics"] == []
    assert answer["currentTimestamp"] == 0


def test_the_dashboard_is_compact_and_unlabelled(device: Device) -> None:
    body = views.dashboard_body(device)
    answer = read(body)

    assert b"\n" not in body
    assert set(answer) == {"currentTimestamp", "statistics"}
    sample = device.statistics.rows[-1]
    hashrate, temperature, power, timestamp = answer["statistics"][-1]
    assert hashrate == float32(sample.hashrate_hs / 1e9)
    assert temperature == sample.temp_c
    assert power == float32(sample.power_w)
    assert timestamp == sample.timestamp_ms
    assert f",{sample.timestamp_ms}]]}}".encode() in body


def test_the_scoreboard_is_laid_out_as_its_release_does() -> None:
    rows = {
        "scoreboard_01": "7.2;1d2e;01;5;167943889;8192",
        "scoreboard_02": "1;a;b;1;2;3",
    }

    bodies = [
        views.scoreboard_body(Device(firmware=release, settings=rows))
        for release in ("2.14.0", "2.15.0")
    ]

    first = (
        '[{\n\t\t"difficulty":\t7.2,\n\t\t"job_id":\t"1d2e",\n'
        '\t\t"extranonce2":\t"01",\n\t\t"ntime":\t5,\n'
        '\t\t"nonce":\t"0A029ED1",\n\t\t"version_bits":\t"00002000"\n\t}, {\n'
    )
    assert bodies[0].decode().startswith(first)
    assert b" " not in bodies[1]
    assert json.loads(bodies[0]) == json.loads(bodies[1])


def test_a_scan_lists_networks(device: Device) -> None:
    networks = read(views.scan_body(device))["networks"]

    assert any(network["ssid"] == "softaxe" for network in networks)
    assert all(-100 < network["rssi"] < 0 for network in networks)


def test_a_theme_that_is_not_json_is_left_out(device: Device) -> None:
    device.set_theme(device.now, scheme="light", colors_json="{oops")

    assert read(views.theme_body(device)) == {"colorScheme": "light"}


def test_a_theme_is_told_as_each_version_does() -> None:
    compact = views.theme_body(Device(firmware="2.14"))
    newest = Device(firmware="2.15")
    newest.set_theme(newest.now, scheme="light", color="#00ff00")

    assert compact.startswith(b'{"colorScheme":"dark","accentColors":{"--primary-color')
    assert not re.search(rb"[\t\n]", compact)
    body = views.theme_body(newest)
    assert body == b'{"colorScheme":"light","primaryColor":"#00ff00"}'


def test_the_factory_theme_is_laid_out_as_cjson_does() -> None:
    text = views.theme_body(Device()).decode()

    assert text.startswith(
        '{\n\t"colorScheme":\t"dark",\n\t"accentColors":\t{\n'
        '\t\t"--primary-color":\t"#F80421",\n'
    )
    assert text.endswith('\t\t"--togglebutton-text-color":\t"#ffffff"\n\t}\n}')
    assert len(json.loads(text)["accentColors"]) == 21


@pytest.mark.unwatched
@each(
    "colors",
    [
        "[" * 490 + "]" * 490,
        "1" + "0" * 900,
        "1" + "0" * 5000,
        "1e999",
        '[{"a":[]},{}]',
        "null",
    ],
)
def test_no_stored_theme_makes_the_answer_fail(device: Device, colors: str) -> None:
    device.set_theme(device.now, scheme="dark", colors_json=colors)

    assert read(views.theme_body(device))["colorScheme"] == "dark"


def test_what_a_request_may_store_as_a_theme_can_be_answered(device: Device) -> None:
    body = b'{"accentColors":[{"b":"\\ud83d\\ude00","a":[1e999, 01]}, "x\\u0000y"]}'
    ((_, colors),) = cjson.parse(body)
    device.set_theme(device.now, scheme=None, colors_json=json.dumps(colors))

    answer = read(views.theme_body(device))

    assert answer["accentColors"] == [{"b": "\U0001f600", "a": [None, 1]}, "x"]


def test_errors_and_messages_are_json() -> None:
    text = "hostname: 'a\"b' may hold letters only"

    assert read(views.error_body(text)) == {"error": text}
    assert views.message_body("Hi!") == b'{\n\t"message":\t"Hi!"\n}'


def test_the_page_gets_the_rule_of_every_setting_but_no_secret(device: Device) -> None:
    rules = cast("list[dict[str, Any]]", views.setting_rules(device)["settings"])

    by_name = {rule["name"]: rule for rule in rules}
    assert list(by_name) == list(firmware().settings)
    port = by_name["stratumPort"]
    assert (port["minimum"], port["maximum"]) == (0, 65535)
    assert (port["asked"]["minimum"], port["asked"]["maximum"]) == (1, 65535)
    assert by_name["temptarget"]["asked"] is None
    assert port["value"] == device.settings.stratum_port
    assert by_name["rotation"]["choices"] == (0, 90, 180, 270)
    secrets = {name for name, rule in by_name.items() if rule["is_secret"]}
    assert secrets == {"wifiPass", "stratumPassword", "fallbackStratumPassword"}
    assert all(by_name[name]["value"] is None for name in secrets)


def test_the_rules_are_those_of_the_profile() -> None:
    rules = views.setting_rules(Device(seed=1, profile=FIRMWARE))

    settings = cast("list[dict[str, Any]]", rules["settings"])
    by_name = {rule["name"]: rule for rule in settings}
    assert rules["overclock_guarded"] is False
    assert by_name["stratumPort"]["minimum"] == 0
    assert by_name["stratumPort"]["asked"] is None
    assert by_name["temptarget"]["allowed"] == "35..66 °C"


def test_a_setting_that_waits_for_a_restart_is_marked() -> None:
    device = Device(seed=1)
    device.patch([("temptarget", 55), ("stratumPort", 3333)], now=20.0)
    device.patch([("wifiPass", "something else")], now=20.0)

    def waiting() -> set[str]:
        rules = cast("list[dict[str, Any]]", views.setting_rules(device)["settings"])
        return {rule["name"] for rule in rules if rule["is_waiting"]}

    assert waiting() == {"stratumPort", "wifiPass"}
    device.restart(now=20.0)
    device.step(30.0)
    assert waiting() == set()


def test_the_status_tells_what_the_page_has_against_somebody_s_settings() -> None:
    device = Device(seed=1)
    device.step(20.0)

    device.patch([("frequency", 512.5), ("hostname", "a b")], now=20.0)

    hostname, frequency = cast("list[str]", views.status(device)["warnings"])
    assert hostname.startswith("hostname: 'a b' may hold")
    assert frequency.startswith("frequency: 512.5 MHz is none of")
    reduction = Reduction(
        before_mhz=612.5, after_mhz=512.5, before_mv=1250, after_mv=1150
    )
    device.power_management.reduction = reduction
    assert views.status(device)["warnings"] == [hostname], "the protection's are not"


def test_the_status_tells_of_a_chip_that_is_off() -> None:
    device = Device(seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(120)
    assert chips(device)["hashing"] == 1
    device.set_faults(DeviceFaults(has_regulator_fault=True), simulation.now)

    simulation.advance(60)

    assert device.hashrate.current_hs > 0, "firmware keeps the last one"
    assert chips(device)["hashing"] == 0


def test_the_status_counts_the_chips_that_hash() -> None:
    device = Device(board="hex", seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(60)

    device.set_faults(DeviceFaults(first_dead_chip=5), simulation.now)

    assert chips(device)["hashing"] == 4


def test_an_answer_with_a_difficulty_below_1_is_known_to_differ() -> None:
    device = Device(seed=1, firmware="2.14.2")
    device.pools.pool_difficulty = 0.5
    assert list(views.info_that_differs(device)) == []

    device.mining.exact_session_difficulty = 0.5

    assert list(views.info_that_differs(device)) == ["small_difficulties_told"]


@pytest.mark.unwatched
@pytest.mark.parametrize("protocol", ["SV1", "SV2"])
def test_the_status_tells_of_shares_without_an_answer(protocol: str) -> None:
    settings = {"stratumprot": protocol}
    device = Device(seed=1, firmware="2.14.2", settings=settings)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(60)
    assert views.status(device)["unansweredShares"] == 0

    device.step(device.now + 120)  # the pool hears of nothing, and says nothing

    told = views.status(device)
    assert cast("int", told["unansweredShares"]) > 1
    assert 60 < cast("float", told["unansweredSeconds"]) <= 120


def test_the_status_tells_of_a_pool_that_is_gone() -> None:
    is_up = True
    device = Device(seed=1)
    pool = Pool.for_scaled_work(seed=1)
    simulation = Simulation(device, pool, reachable=lambda host, port: is_up)
    assert views.status(device)["poolSilentSeconds"] is None
    simulation.advance(120)
    healthy = views.status(device)
    is_up = False
    simulation.drop_connections()
    simulation.advance(60)

    gone = views.status(device)

    assert healthy["poolConnected"] is True
    assert 0 <= cast("float", healthy["poolSilentSeconds"]) <= 31
    assert gone["poolConnected"] is False
    assert cast("float", gone["poolSilentSeconds"]) >= 60
    assert device.pool_address_family == 2, "firmware keeps the last one"


def test_the_status_tells_why_a_device_does_not_mine() -> None:
    device = Device(seed=1, firmware="2.14")
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(40)
    device.set_paused(True, simulation.now)
    assert views.status(device)["miningStopped"] is False
    simulation.advance(20)

    assert views.status(device)["miningStopped"] is True
    assert views.status(device)["stoppedBy"] == ["pause"]
    assert b'"miningPaused":true' in views.info_body(device)
    assert b'"actualFrequency":50,' in views.info_body(device)


def test_the_status_tells_what_overheating_has_cost() -> None:
    device = Device(seed=1)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(90)
    assert views.status(device)["overheatReduction"] is None
    device.set_faults(DeviceFaults(dead_fans=frozenset({1})), simulation.now)
    while not device.settings.is_overheated:
        simulation.advance(1)
    device.set_faults(NO_FAULTS, simulation.now)

    simulation.advance(90)

    assert views.status(device)["overheatReduction"] == {
        "frequencyBefore": 525,
        "frequency": 425,
        "coreVoltageBefore": 1150,
        "coreVoltage": 1050,
    }


def chips(device: Device) -> dict[str, Any]:
    return cast("dict[str, Any]", views.status(device)["chips"])


def test_the_partitions_tell_what_runs_and_what_is_empty() -> None:
    rows = views.partitions(Device(seed=1))

    assert [row["label"] for row in rows] == ["factory", "ota_0", "ota_1"]
    assert [row["is_running"] for row in rows] == [True, False, False]
    assert [row["version"] for row in rows] == ["v2.12.2", None, None]
    factory, *empty = rows
    assert str(factory["compiled"]).endswith("2026 00:00:00")
    assert 0 < cast("int", factory["bytes"]) < cast("int", factory["slot_bytes"])
    for name in ("project", "compiled", "bytes"):
        assert [row[name] for row in empty] == [None, None]


def told(version: str, seconds: float, board: str = "601") -> Any:
    """The info answer of a release after so long."""
    device = Device(board=board, firmware=version, seed=1)
    Simulation(device, Pool.for_scaled_work(seed=1)).advance(seconds)
    return read(views.info_body(device))


def test_the_oldest_release_tells_the_difficulty_of_its_last_job() -> None:
    assert told("2.8.1", 5.0)["stratumDiff"] == 0

    info = told("2.8.1", 60.0)

    assert info["stratumDiff"] > 0
    assert info["asicCount"] == 1
    assert isinstance(info["fanspeed"], int)


@each(
    ("version", "board", "temp2_c"),
    [("2.10.1", "601", 0), ("2.10.1", "800", -1), ("2.11.0", "601", -1)],
)
def test_a_second_temperature_before_there_is_one(
    version: str, board: str, temp2_c: int
) -> None:
    assert told(version, 4.0, board)["temp2"] == temp2_c


@pytest.mark.parametrize(("version", "is_there"), [("2.13.2", True), ("2.14.0", False)])
def test_counters_wait_for_their_task_from_2_14_on(
    version: str, *, is_there: bool
) -> None:
    assert ("hashrateMonitor" in told(version, 4.0)) is is_there
    assert len(told(version, 40.0)["hashrateMonitor"]["asics"]) == 1


def test_a_bm1397_has_no_domains_in_2_11() -> None:
    for version, has_domains in (("2.11.0", False), ("2.12.0", True)):
        asics = told(version, 60.0, "102")["hashrateMonitor"]["asics"]
        assert ("domains" in asics[0]) is has_domains
        assert asics[0]["total"] > 0


def test_a_found_block_is_told_until_it_is_dismissed() -> None:
    device = Device(firmware="2.14")
    device.mining.blocks_found, device.mining.shows_block = 2, True

    device.dismiss_block(1.0)

    assert views.dismissed_body(device) == (
        b'{"blockFound":2,"showNewBlock":false,'
        b'"message":"Block found notification dismissed"}'
    )
    assert read(views.info_body(device))["blockFound"] == 2


def test_the_page_gets_the_rules_of_pool_slots_and_no_password_of_them() -> None:
    device = Device(seed=1, firmware="2.15.0")
    device.patch([("stratumPassword", "geheim")], now=20.0)

    rules = views.setting_rules(device)

    settings = cast("list[dict[str, Any]]", rules["settings"])
    by_name = {rule["name"]: rule for rule in settings}
    members = cast("list[dict[str, Any]]", rules["pool_members"])
    assert rules["pool_slots"] == 8
    assert [pool["id"] for pool in by_name["pools"]["value"]] == [0, 1]
    assert [one["name"] for one in members] == list(by_name["pools"]["value"][0])[1:]
    assert "geheim" not in json.dumps(rules)
    own = {name for name, rule in by_name.items() if rule["is_own"]}
    assert own == set(device.firmware.settings)
    assert views.setting_rules(Device(firmware="2.14.2"))["pool_slots"] == 0
