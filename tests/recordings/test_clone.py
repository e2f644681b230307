import functools
import json
import math
import tomllib
from dataclasses import replace
from typing import Any

import pytest
from tests.each import each

from softaxe.api.views import info_body
from softaxe.device.device import Device
from softaxe.errors import BadResponse, SettingError
from softaxe.fleet.groups import member_options, read_group, read_groups
from softaxe.recordings.clone import copy_of, fleet_file
from softaxe.simulation import Simulation
from softaxe.stratum.pool import Pool


@functools.cache
def lived(duration_s: float, seed: int, **settings: Any) -> str:
    device = Device(board="601", seed=seed, ambient_c=29.0)
    device.patch(list(settings.items()), 0.0)
    simulation = Simulation(device, Pool.for_scaled_work(seed=1))
    simulation.advance(duration_s)
    return info_body(device).decode()


def info_after(duration_s: float, seed: int, **settings: Any) -> dict[str, Any]:
    info: dict[str, Any] = json.loads(lived(duration_s, seed, **settings))
    return info


@pytest.mark.unwatched
def test_a_copy_lives_like_its_original() -> None:
    theirs = info_after(1200, 4711, frequency=550, autofanspeed=0, manualFanSpeed=80)

    copy = copy_of(theirs)
    text = fleet_file(copy, "http://192.168.1.2")
    (table,) = tomllib.loads(text)["group"]
    (options,) = member_options(read_group(table), pool_rows={})
    cloned = Device(
        options.board,
        seed=options.seed,
        settings=options.defaults,
        ambient_c=options.ambient_c,
    )
    Simulation(cloned, Pool.for_scaled_work(seed=1)).advance(1200)
    ours = json.loads(info_body(cloned))

    assert ours["boardVersion"] == theirs["boardVersion"]
    for name in ("frequency", "autofanspeed", "manualFanSpeed", "hostname"):
        assert ours[name] == theirs[name]
    assert ours["temp"] == pytest.approx(theirs["temp"], abs=2)
    assert ours["power"] == pytest.approx(theirs["power"], rel=0.03)
    assert ours["hashRate_10m"] == pytest.approx(theirs["hashRate_10m"], rel=0.03)
    assert ours["macAddr"] != theirs["macAddr"]


@pytest.mark.unwatched
@each("version", ["2.8.1", "2.10.1", "2.13.2", "2.15.0"])
def test_a_copy_runs_what_its_original_runs(version: str) -> None:
    device = Device(board="601", seed=1, firmware=version, settings={"temptarget": 55})
    device.step(60.0)
    info = json.loads(info_body(device))

    copy = copy_of(info)
    (group,) = read_groups(tomllib.loads(fleet_file(copy, "http://192.168.1.2")), "")
    (options,) = member_options(group, pool_rows={})

    assert copy.left_out == ()
    assert options.firmware == version
    assert options.defaults["temptarget"] == 55
    assert not [key for key in copy.settings if "tratum" in key or "ool" in key]


def test_a_copy_of_an_unknown_version_runs_the_nearest() -> None:
    copy = copy_of({"boardVersion": "601", "version": "v2.15.3", "hashRate": 0})

    assert 'firmware = "2.15.0"' in fleet_file(copy, "http://192.168.1.2")


def test_pool_user_and_wifi_stay_behind() -> None:
    info = info_after(120, 1) | {"stratumUser": "bc1qowner", "ssid": "Home"}

    text = fleet_file(copy_of(info, specimens=2), "x")

    assert "bc1qowner" not in text
    assert "Home" not in text


def test_settings_that_cannot_be_had_are_told() -> None:
    info = info_after(120, 1) | {"temptarget": 101, "rotation": 45}

    copy = copy_of(info, specimens=2)

    assert set(copy.left_out) == {"temptarget", "rotation"}


def test_what_a_device_takes_beyond_the_page_is_copied() -> None:
    info = info_after(120, 1) | {"frequency": 700, "hostname": "bitaxe 105"}

    copy = copy_of(info, specimens=2)

    assert (copy.settings["frequency"], copy.settings["hostname"]) == (
        700,
        "bitaxe 105",
    )
    assert not copy.left_out


def test_an_overclocked_device_keeps_its_clock() -> None:
    info = info_after(120, 1, overclockEnabled=1, frequency=575, coreVoltage=1180)

    assert copy_of(info, specimens=2).settings["frequency"] == 575


def test_a_device_that_does_not_hash_has_no_body_to_copy() -> None:
    info = info_after(120, 1) | {"hashRate": 0}

    assert copy_of(info).readings == ()


def test_what_is_no_bitaxe_is_told() -> None:
    with pytest.raises(BadResponse, match="no boardVersion"):
        copy_of({})
    with pytest.raises(SettingError, match="board"):
        copy_of({"boardVersion": "9000"})
    with pytest.raises(BadResponse, match="hashRate: 'x' is no number"):
        copy_of({"boardVersion": "601", "hashRate": "x"})


@each("answer", [None, [1], "x", {}, {"boardVersion": 601}])
def test_what_is_no_bitaxe_is_not_copied(answer: object) -> None:
    with pytest.raises(BadResponse, match="is it a Bitaxe"):
        copy_of(answer)


@each("name", ["hashRate", "temp", "coreVoltage", "fanspeed"])
@each("value", [math.inf, -math.inf, math.nan, 10**400])
def test_what_no_device_can_have_is_not_copied(name: str, value: float) -> None:
    with pytest.raises(BadResponse, match=f"{name}: no device has so much"):
        copy_of(info_after(120, 1) | {name: value})


def test_settings_without_end_are_left_out() -> None:
    info = info_after(120, 1) | {
        "hashRate": 0,
        "rotation": math.inf,
        "temptarget": 1e400,
    }

    assert set(copy_of(info).left_out) == {"rotation", "temptarget"}


def test_any_name_that_a_device_may_have_is_written_so_that_it_can_be_read() -> None:
    info = info_after(120, 1) | {"hashRate": 0, "hostname": "a-b", "display": "\x7f"}
    copy = replace(copy_of(info), settings={"hostname": '\x7f\U0001f600"\\'})

    tables = tomllib.loads(fleet_file(copy, "x"))

    assert tables["group"][0]["settings"] == copy.settings
