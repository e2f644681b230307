import json
from pathlib import Path
from typing import Any

import pytest
from tests.each import each

from softaxe.catalog import (
    Board,
    Chip,
    board,
    boards,
    catalog_data,
    firmware_for,
    read_boards,
    read_chips,
)
from softaxe.catalog.firmware import firmware
from softaxe.errors import SettingError

Reference = dict[str, Any]


FIRMWARE: Reference = json.loads(
    (Path(__file__).parents[1] / "data" / "firmware-versions.json").read_text("utf-8")
)


def every_board(reference: Reference) -> list[Reference]:
    known = [*reference["boards"], *reference["newest"]["boards_added"]]
    by_version = {row["board_version"]: row for row in known}
    old = next(row for row in FIRMWARE["board_rows_new"] if row["board"] == "800")
    first = {"board_version": "800", "temp_offset_c": old["temp_offset"]}
    return [*known, {**by_version["801"], **first}]


def test_every_board_of_the_reference_is_there_and_no_other(
    boards_reference: Reference,
) -> None:
    versions = [row["board_version"] for row in every_board(boards_reference)]
    assert sorted(row.version for row in boards()) == sorted(versions)


@each("row", boards())
def test_a_board_is_that_of_the_reference(
    row: Any, boards_reference: Reference
) -> None:
    known = {each["board_version"]: each for each in every_board(boards_reference)}
    reference = known[row.version]
    newest = boards_reference["newest"]
    families = {**boards_reference["families"], **newest["families_added"]}
    family = families[reference["family"]]
    assert row.family == reference["family"]
    for name in (
        "asic_count",
        "max_power_w",
        "power_offset_w",
        "nominal_voltage_v",
        "voltage_domains",
        "swarm_color",
    ):
        assert getattr(row, name) == family[name], name
    mhz = row.default_frequency_mhz
    assert row.job_interval_ms(mhz) == pytest.approx(
        family["job_interval_ms"], rel=1e-4
    )
    assert row.expected_hashrate_hs(mhz) / 1e9 == pytest.approx(
        family["expected_ghs_at_default"]
    )
    assert row.temp_offset_c == reference["temp_offset_c"]
    assert row.has_tps546 == (reference["regulator"] == "TPS546")
    assert row.has_tps546 == reference["vr_temp_available"]
    assert row.fan_controller == reference["fan_controller"]
    assert row.fan_count == reference["fans"]
    assert reference["temp_sensor"].startswith(row.temp_sensor.replace("diode", ""))
    assert (row.sensor_count > 1) == (reference["temp2_sensor"] is not None)
    assert row.has_plug_sense == reference["plug_sense"]
    assert row.has_asic_enable == reference["asic_enable"]
    for name, ours in (
        ("emc_ideality_factor", row.emc_ideality),
        ("emc_beta_compensation", row.emc_beta),
    ):
        assert reference[name] == (None if ours is None else f"0x{ours:02x}")


def test_regulator_limits_are_those_of_the_reference(
    boards_reference: Reference,
) -> None:
    known = {each["board_version"]: each for each in every_board(boards_reference)}
    shared = boards_reference["tps546_profiles"]["all"]
    for row in boards():
        if not row.has_tps546:
            assert (row.regulator.vout_min_v, row.regulator.vout_max_v) == (0.046, 2.39)
            continue
        name = known[row.version]["tps546_profile"]
        profile = boards_reference["tps546_profiles"][name]
        limits = row.regulator
        assert limits.vout_min_v == profile["vout_min"]
        assert limits.vout_max_v == profile["vout_max"]
        assert limits.vin_on_v == profile["vin_on"]
        assert limits.vin_off_v == profile["vin_off"]
        assert limits.vin_ov_fault_v == profile["vin_ov_fault"]
        assert limits.vin_uv_warn_v == profile["vin_uv_warn"]
        assert limits.vout_scale_loop == profile["scale_loop"]
        assert limits.phases == 1 + int(profile["stack_config"], 16)
        assert limits.iout_oc_warn_a == profile["iout_oc_warn"]
        assert limits.iout_oc_fault_a == profile["iout_oc_fault"]
        assert limits.ot_warn_c == shared["ot_warn_c"]
        assert limits.ot_fault_c == shared["ot_fault_c"]


CHIPS = read_chips(catalog_data())


@each("key", CHIPS)
def test_a_chip_is_that_of_the_reference(key: str, boards_reference: Reference) -> None:
    added = boards_reference["newest"]["asics_added"]
    asic = {**boards_reference["asics"], **added}[key]
    chip: Chip = CHIPS[key]
    assert chip.name == asic["name"]
    assert f"0x{chip.chip_id:04x}" in asic["chip_id"].lower()
    assert list(chip.frequency_options_mhz) == asic["frequency_options_mhz"]
    assert list(chip.core_voltage_options_mv) == asic["voltage_options_mv"]
    assert chip.default_frequency_mhz == asic["default_frequency_mhz"]
    assert chip.default_core_voltage_mv == asic["default_voltage_mv"]
    for name in (
        "core_count",
        "small_core_count",
        "hash_domains",
        "ticket_difficulty",
        "job_id_step",
        "pll_fb_min",
        "pll_fb_max",
        "max_baud",
    ):
        assert getattr(chip, name) == asic[name], name
    number = asic["hash_counting_number"]
    assert chip.hash_counting_number == (number and int(number, 16))
    assert len(chip.silicon.domain_weights) == chip.hash_domains
    assert len(chip.silicon.domain_half_voltages_v) == chip.hash_domains


def test_job_intervals_are_those_of_the_reference(vectors: Reference) -> None:
    for vector in vectors["asic"]["job_interval_ms_v2_12_2"]:
        row = next(
            row
            for row in boards()
            if (row.chip.name, row.asic_count) == (vector["chip"], vector["chips"])
        )
        mhz = vector.get("mhz", row.default_frequency_mhz)
        assert row.job_interval_ms(mhz) == pytest.approx(vector["ms"], rel=1e-5)


def test_factory_settings_are_those_of_the_reference(
    boards_reference: Reference,
) -> None:
    for version, nvs in boards_reference["factory_nvs"]["per_board"].items():
        row = board(version)
        assert row.default_frequency_mhz == nvs["asicfrequency"]
        assert row.default_core_voltage_mv == nvs["asicvoltage"]
        assert row.chip.name == nvs["asicmodel"]
        assert row.family.lower() == nvs["devicemodel"]
        wifi = {key: nvs[key] for key in ("wifissid", "wifipass") if key in nvs}
        assert row.factory_nvs == wifi


def test_every_board_is_known_to_the_releases_of_the_reference() -> None:
    for version, known in FIRMWARE["boards"].items():
        names = {row.version for row in boards() if row.is_known_to(firmware(version))}
        assert names == set(known)


def test_a_family_means_a_board_that_the_firmware_knows() -> None:
    assert board("gammaturbo").version == "801"
    assert board("gammaturbo", firmware("2.10")).version == "800"
    assert board("Hex", firmware("2.11")).version == "303"


@each(
    ("name", "version", "text"),
    [
        ("801", "2.12.0", "does not know 801 (GammaTurbo); 2.12.1 to 2.15.0 do"),
        ("800", "2.12.2", "does not know 800 (GammaTurbo); 2.8.0 to 2.12.0 do"),
        ("hex", "2.10.1", "does not know 303 (Hex); 2.11.0 to 2.15.0 do"),
    ],
)
def test_a_pair_that_does_not_run_says_what_does(
    name: str, version: str, text: str
) -> None:
    with pytest.raises(SettingError) as error:
        board(name, firmware(version))

    assert str(error.value).endswith(text)
    assert version in str(error.value)


@each(
    ("name", "version"),
    [("601", "2.12.2"), ("650", "2.13.0"), ("603", "2.14.1"), ("800", "2.12.0")],
)
def test_a_board_comes_with_a_firmware_that_knows_it(name: str, version: str) -> None:
    assert firmware_for(board(name)).version == version


def test_releases_describe_a_board_in_their_own_way() -> None:
    def seen(name: str, version: str) -> Board:
        return board(name).seen_by(firmware(version))

    told = [
        (row.max_power_w, row.power_offset_w, row.nominal_voltage_v)
        for row in (seen("303", "2.10.1"), seen("303", "2.11.0"))
    ]
    assert told == [(0, 5, 5), (90, 12, 12)]
    assert seen("801", "2.14.0").are_sensors_exchanged
    assert not seen("801", "2.13.2").are_sensors_exchanged
    assert seen("702", "2.14.2").regulator.vin_ov_fault_v == 14.0
    assert seen("702", "2.15.0").regulator.vin_ov_fault_v == 14.8
    assert seen("102", "2.11.0").chip.hash_domains == 0
    assert seen("102", "2.12.0").chip.hash_domains == 1
    assert board("800").temp_offset_c == -10
    assert seen("601", "2.8.0") is board("601")


def test_a_board_joins_by_a_row() -> None:
    data = catalog_data()
    data["boards"]["699"] = {
        "family": "Gamma",
        "asic_count": 3,
        "cooling": {"sink_j_per_k": 77.0},
    }
    row = next(row for row in read_boards(data) if row.version == "699")

    assert (row.asic_count, row.family, row.chip.name) == (3, "Gamma", "BM1370")
    assert row.cooling.sink_j_per_k == 77.0
    assert row.cooling.chip_j_per_k == board("601").cooling.chip_j_per_k


def test_a_row_with_a_wrong_name_is_refused() -> None:
    data = catalog_data()
    data["boards"]["601"]["asics"] = 2
    with pytest.raises(TypeError, match="asics"):
        read_boards(data)


def test_a_board_is_found_by_version_and_by_family() -> None:
    assert board("600").version == "600"
    assert board("gamma").version == "601"
    assert board("Gamma").version == "601"
    assert board("hex").version == "303"
    assert board("SupraHex").version == "702"


def test_an_unknown_board_names_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'9000' is none of .*601.*gamma"):
        board("9000")


@each(
    ("release", "intervals_ms"),
    # BM1397, one BM1366, six, two BM1370 and six BM1368.
    [
        ("2.10.1", {"102": 15.038, "207": 2000, "303": 2000, "801": 500, "702": 500}),
        ("2.13.2", {"102": 15.038, "207": 2000, "303": 333, "801": 250, "702": 83}),
        ("2.14.0", {"102": 39.476, "207": 2000, "303": 250, "801": 250, "702": 62}),
    ],
)
def test_each_release_divides_the_job_interval_in_its_own_way(
    release: str, intervals_ms: dict[str, float]
) -> None:
    division = firmware(release).rows.job_interval_division
    for version, interval_ms in intervals_ms.items():
        row = board(version)
        found_ms = row.job_interval_ms(row.default_frequency_mhz, division)
        assert found_ms == pytest.approx(interval_ms, rel=1e-4), version
