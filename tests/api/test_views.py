import json
from typing import Any

import pytest

from softaxe import Device, Pool, Simulation
from softaxe.api import views
from softaxe.api.schema import COLUMNS, INFO
from softaxe.device.profile import FIRMWARE

# The order of http-api.md 2; kept here apart from the table it checks.
_ORDER = """
power voltage current temp temp2 vrTemp maxPower nominalVoltage hashRate hashRate_1m
hashRate_10m hashRate_1h expectedHashrate errorPercentage bestDiff bestSessionDiff
poolDifficulty isUsingFallbackStratum poolAddrFamily isPSRAMAvailable freeHeap
freeHeapInternal freeHeapSpiram coreVoltage coreVoltageActual frequency ssid macAddr
hostname ipv4 ipv6 wifiStatus wifiRSSI apEnabled sharesAccepted sharesRejected
sharesRejectedReasons uptimeSeconds smallCoreCount ASICModel stratumURL stratumPort
stratumUser stratumSuggestedDifficulty stratumExtranonceSubscribe fallbackStratumURL
fallbackStratumPort fallbackStratumUser fallbackStratumSuggestedDifficulty
fallbackStratumExtranonceSubscribe responseTime version axeOSVersion idfVersion
boardVersion resetReason runningPartition overheat_mode overclockEnabled display
rotation invertscreen displayTimeout autofanspeed fanspeed manualFanSpeed minFanSpeed
temptarget fanrpm fan2rpm statsFrequency blockFound power_fault blockHeight scriptsig
networkDifficulty hashrateMonitor
"""
FIRMWARE_ORDER = _ORDER.split()


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


def test_the_table_has_the_firmware_s_77_members_in_its_order() -> None:
    assert [row.name for row in INFO] == FIRMWARE_ORDER
    assert len(FIRMWARE_ORDER) == 77


def test_info_is_laid_out_as_the_page_shows_it(device: Device) -> None:
    text = views.info_body(device).decode()

    assert text.startswith('{\n\t"power":\t18.')
    assert text.endswith("\n\t\t\t}]\n\t}\n}")
    reasons = (
        '\t"sharesRejectedReasons":\t[{\n\t\t\t"message":\t"Stale",\n\t\t\t"count"'
    )
    assert reasons in text
    assert '\t"hashrateMonitor":\t{\n\t\t"asics":\t[{\n\t\t\t\t"total":\t' in text


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


@pytest.mark.parametrize(
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

    expected = [column.label for column in COLUMNS] if labels is None else labels
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
    row = answer["statistics"][-1]
    assert row[0] == pytest.approx(sample.hashrate_hs / 1e9)
    assert row[1:] == [
        sample.temp_c,
        pytest.approx(sample.power_w),
        sample.timestamp_ms,
    ]


def test_a_scan_lists_networks(device: Device) -> None:
    networks = read(views.scan_body(device))["networks"]

    assert any(network["ssid"] == "softaxe" for network in networks)
    assert all(-100 < network["rssi"] < 0 for network in networks)


def test_a_theme_that_is_not_json_is_left_out(device: Device) -> None:
    device.set_theme("light", "{oops", device.now)

    assert read(views.theme_body(device)) == {"colorScheme": "light"}
