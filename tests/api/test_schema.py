import pytest
from tests.each import each

from softaxe import Device
from softaxe.api.schema import (
    DASHBOARD,
    PLAIN,
    Field,
    asic_fields,
    info_fields,
    offered_columns,
)
from softaxe.bitcoin.coinbase import Output
from softaxe.catalog.firmware import Kind, firmware
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile
from softaxe.device.state import AsicReading
from softaxe.device.statistics import RejectedReason

INFO, ASIC = info_fields(firmware()), asic_fields(firmware())

# The order of the firmware; kept here apart from the table it checks.
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
_COLUMN_ORDER = """
hashrate hashrate_1m hashrate_10m hashrate_1h errorPercentage asicTemp vrTemp
asicVoltage voltage power current fanSpeed fanRpm fan2Rpm wifiRssi freeHeap responseTime
"""
_ASIC_ORDER = """
ASICModel deviceModel swarmColor asicCount hashDomains defaultFrequency frequencyOptions
defaultVoltage voltageOptions
"""


def test_info_has_the_firmware_s_77_members_in_its_order() -> None:
    assert [row.name for row in INFO] == FIRMWARE_ORDER
    assert len(FIRMWARE_ORDER) == 77


def test_asic_has_the_firmware_s_members_in_its_order() -> None:
    assert [row.name for row in ASIC] == _ASIC_ORDER.split()


def test_columns_have_the_firmware_s_order_and_the_page_s_last() -> None:
    offered = offered_columns(firmware(), DOCUMENTED)
    genuine = offered_columns(firmware(), FIRMWARE)

    assert [column.label for column in offered] == _COLUMN_ORDER.split()
    assert [column.label for column in genuine] == _COLUMN_ORDER.split()[:-1]


def test_the_dashboard_has_three_columns_before_the_time() -> None:
    assert [told.unit for told in DASHBOARD] == ["GH/s", "°C", "W"]


def test_only_what_comes_and_goes_is_optional() -> None:
    optional = {row.name for row in INFO if row.is_optional}

    assert optional == {"power_fault", "blockHeight", "scriptsig", "networkDifficulty"}


def test_every_setting_that_is_told_is_in_info() -> None:
    names = {row.name for row in INFO}

    for key, setting in firmware().settings.items():
        assert (key in names) is not setting.is_write_only


def test_numbers_are_of_the_firmware_s_kinds() -> None:
    kinds = {row.name: row.kind for row in INFO}

    assert kinds["frequency"] is Kind.FLOAT_RAW
    assert kinds["responseTime"] is Kind.DOUBLE
    assert {name for name, kind in kinds.items() if kind is Kind.FLOAT7} == {
        *("power", "voltage", "current", "temp", "temp2", "vrTemp", "fanspeed"),
        *("hashRate", "hashRate_1m", "hashRate_10m", "hashRate_1h"),
        *("expectedHashrate", "errorPercentage"),
    }


def printed(name: str, value: object, version: str = "2.12.2") -> str:
    fields: dict[str, Field] = {row.name: row for row in info_fields(firmware(version))}
    return fields[name].print(value)


def test_every_plain_kind_can_be_printed() -> None:
    assert set(Kind) - set(PLAIN) == {Kind.INTEGERS, Kind.ARRAY, Kind.OBJECT}


def test_reasons_stand_at_three_tabs() -> None:
    text = printed(
        "sharesRejectedReasons", [RejectedReason("Stale", 13), RejectedReason("Low", 1)]
    )

    assert text == (
        '[{\n\t\t\t"message":\t"Stale",\n\t\t\t"count":\t13\n\t\t}, '
        '{\n\t\t\t"message":\t"Low",\n\t\t\t"count":\t1\n\t\t}]'
    )
    assert printed("sharesRejectedReasons", []) == "[]"


def test_outputs_and_signals_are_laid_out_as_by_the_version() -> None:
    outputs = (Output(5, "1a", is_user=True), Output(0, 'OP_RETURN: "', False))

    assert printed("coinbaseOutputs", outputs, "2.13.2") == (
        '[{\n\t\t\t"value":\t5,\n\t\t\t"address":\t"1a"\n\t\t}, '
        '{\n\t\t\t"value":\t0,\n\t\t\t"address":\t"OP_RETURN: \\""\n\t\t}]'
    )
    assert printed("coinbaseOutputs", outputs, "2.14.2") == (
        '[{"value":5,"address":"1a"},{"value":0,"address":"OP_RETURN: \\""}]'
    )
    assert printed("blockSignals", ("BIP-54", "BIP-110"), "2.15.0") == (
        '["BIP-54","BIP-110"]'
    )


@pytest.mark.parametrize(
    ("version", "difficulty"), [("2.13.2", "100"), ("2.15.0", "100.5")]
)
def test_blocks_and_difficulties_of_the_pool_are_as_exact_as_the_version(
    version: str, difficulty: str
) -> None:
    device = Device(seed=1, firmware=version)
    device.pools.pool_difficulty = 100.5
    device.mining.blocks_found = 2
    fields = {row.name: row for row in info_fields(device.firmware)}

    assert fields["poolDifficulty"].print(fields["poolDifficulty"].get(device)) == (
        difficulty
    )
    old = {row.name: row for row in info_fields(firmware("2.12.2"))}["blockFound"]
    assert old.print(old.get(device)) == "1"
    assert fields["blockFound"].print(fields["blockFound"].get(device)) == "2"


@each(
    ("version", "profile", "told"),
    [
        ("2.8.1", DOCUMENTED, ['"0.84"', '"0.84"', "0.02"]),
        ("2.12.2", DOCUMENTED, ["0.84", "0.84", "0.02"]),
        ("2.12.2", FIRMWARE, ["0", "0", "0"]),
        ("2.15.0", DOCUMENTED, ["0.84", "0.84", "0.02"]),
        ("2.15.0", FIRMWARE, ["0", "0", "0.02"]),
    ],
)
def test_difficulties_below_1_are_told_where_that_is_promised(
    version: str, profile: Profile, told: list[str]
) -> None:
    device = Device(seed=1, firmware=version, profile=profile)
    device.mining.exact_session_difficulty = 0.84
    device.pools.pool_difficulty = device.mining.sent_difficulty = 0.02
    fields = {row.name: row for row in info_fields(device.firmware)}
    pool = "poolDifficulty" if "poolDifficulty" in fields else "stratumDiff"

    shown = [fields[name] for name in ("bestDiff", "bestSessionDiff", pool)]

    assert [one.print(one.get(device)) for one in shown] == told


def test_chips_stand_at_four_tabs() -> None:
    text = printed("hashrateMonitor", [AsicReading(0.5e9, (0.2e9, 0.0), 2**31)])

    assert text == (
        '{\n\t\t"asics":\t[{\n\t\t\t\t"total":\t0.5,\n'
        '\t\t\t\t"domains":\t[0.2, 0],\n'
        '\t\t\t\t"errorCount":\t2147483648\n\t\t\t}]\n\t}'
    )
    assert printed("hashrateMonitor", []) == '{\n\t\t"asics":\t[]\n\t}'
