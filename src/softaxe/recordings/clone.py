"""A virtual device like a real one: board, settings and, as readings tell, body.

The body is found by trying: among many specimens the one that, in the air that gives
the measured chip temperature, comes nearest in power, hash rate, regulator temperature
and fan speed. What one moment cannot tell (thermal mass, chances) stays the model's.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from softaxe.catalog import Board
from softaxe.catalog import board as board_named
from softaxe.catalog.firmware import Firmware, nearest
from softaxe.catalog.lottery import draw
from softaxe.device.patch import check_patch
from softaxe.device.profile import DOCUMENTED
from softaxe.device.setting_rules import Kind, rules
from softaxe.device.settings import Settings
from softaxe.device.steady import SteadyState, steady_state
from softaxe.errors import BadResponse, SettingError

SPECIMENS = 120
LARGEST = 1e9
"""Nothing that a device measures is more, in the units of the API."""
AMBIENTS_C = (-20.0, 70.0)
HALVINGS = 14
NOT_COPIED = (
    *("stratum", "fallback", "useFallback", "pools", "primaryPool", "secondaryPool"),
    *("ssid", "wifi", "overheat", "useCustom"),
)
"""Beginnings of settings that stay behind: a copy must not mine on the owner's pool,
as the owner, nor know the owner's network; and it has not the owner's page."""


WARM_S = 900.0
"""After so long a Bitaxe's temperatures stand still. An estimate; docs/physics.md has
a plot."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity of the device, and of its copy."""

    name: str
    unit: str
    theirs: float
    ours: float


@dataclass(frozen=True, slots=True)
class Copy:
    """What makes the copy."""

    board: Board
    version: str
    """As the device tells it."""
    seed: int
    ambient_c: float
    settings: Mapping[str, Any]
    """By the names of PATCH."""
    readings: tuple[Reading, ...]
    """How well they agree; empty when the device does not hash."""
    left_out: tuple[str, ...]
    """Settings that the device has and the copy cannot have."""
    uptime_s: float = WARM_S
    """Of the device, as it tells it."""

    @property
    def is_warm(self) -> bool:
        """Whether the device's readings are those of its body and air at rest."""
        return self.uptime_s >= WARM_S

    @property
    def release(self) -> Firmware:
        """What the copy runs: the device's firmware, or the nearest that is known."""
        return nearest(self.version)


def copy_of(info: object, *, specimens: int = SPECIMENS) -> Copy:
    """Make a copy from a device's answer to GET /api/system/info.

    Args:
        info: The answer.
        specimens: So many are tried.

    Raises:
        BadResponse: The answer is not a Bitaxe's.
        SettingError: There is no such board.
    """
    version = info.get("boardVersion") if isinstance(info, dict) else None
    if not isinstance(info, dict) or not isinstance(version, str):
        raise BadResponse("the answer has no boardVersion; is it a Bitaxe?")
    told = str(info.get("version"))
    board = board_named(version, nearest(told))
    settings, left_out = _settings_of(info, board, nearest(told))
    is_hashing = _number(info, "hashRate") > 0 and _number(info, "temp") > 0
    if not is_hashing:
        return Copy(board, told, 0, 25.0, settings, (), left_out)
    seed, ambient_c, state = _nearest(info, board, specimens)
    return Copy(
        board,
        told,
        seed,
        round(ambient_c, 2),
        settings,
        tuple(_readings(info, state)),
        left_out,
        _number(info, "uptimeSeconds"),
    )


def _settings_of(
    info: Mapping[str, Any], board: Board, release: Firmware
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the settings that are told and may be had, and those that may not."""
    factory = Settings.from_nvs({}, board, release)
    found: dict[str, Any] = {}
    left_out = []
    wanted = [
        (rule, name)
        for rule in rules(release, DOCUMENTED).values()
        for name in rule.names[:1]
        if name in info
        and not rule.setting.is_secret
        and not name.startswith(NOT_COPIED)
    ]
    for row, name in wanted:
        value = info[name]
        if row.kind is Kind.BOOLEAN:
            value = int(bool(value))
        elif row.kind is Kind.INTEGER and isinstance(value, float):
            value = round(value) if isfinite(value) else value
        try:
            patch = check_patch(
                factory,
                [(name, value)],
                profile=DOCUMENTED,
                board=board,
                release=release,
            )
        except SettingError:
            left_out.append(name)
            continue
        if patch.changes.get(row.name) != getattr(factory, row.name):
            found[name] = value
    return found, tuple(left_out)


def _nearest(
    info: Mapping[str, Any], board: Board, specimens: int
) -> tuple[int, float, SteadyState]:
    best: tuple[float, int, float, SteadyState] | None = None
    for seed in range(specimens):
        ambient_c, state = _in_its_air(info, board, seed)
        far = sum(
            _apart(reading) * _WEIGHTS[reading.name]
            for reading in _readings(info, state)
        )
        if best is None or far < best[0]:
            best = far, seed, ambient_c, state
    assert best is not None
    return best[1:]


def _in_its_air(
    info: Mapping[str, Any], board: Board, seed: int
) -> tuple[float, SteadyState]:
    """Find the air in which a specimen is as hot as the device."""
    specimen, (low, high) = draw(board, seed), AMBIENTS_C
    wanted_c = _number(info, "temp")

    def at(ambient_c: float) -> SteadyState:
        return steady_state(
            specimen,
            frequency_mhz=_number(info, "frequency"),
            core_voltage_mv=round(_number(info, "coreVoltage")),
            ambient_c=ambient_c,
            fan_percent=_number(info, "fanspeed"),
        )

    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if at(middle).temp_c < wanted_c:
            low = middle
        else:
            high = middle
    return (low + high) / 2, at((low + high) / 2)


_WEIGHTS = {"hashRate": 30.0, "power": 30.0, "vrTemp": 3.0, "fanrpm": 5.0, "temp": 1.0}


def _readings(info: Mapping[str, Any], state: SteadyState) -> Iterator[Reading]:
    """Compare what device and model show; a slow average is steadier than a moment."""
    hashrate = _number(info, "hashRate_1h") or _number(info, "hashRate")
    yield Reading("hashRate", "GH/s", hashrate, state.hashrate_hs / 1e9)
    yield Reading("power", "W", _number(info, "power"), state.power.power_w)
    yield Reading("temp", "°C", _number(info, "temp"), state.temp_c)
    if _number(info, "vrTemp") > 0:
        yield Reading("vrTemp", "°C", _number(info, "vrTemp"), state.power.vr_temp_c)
    if _number(info, "fanrpm") > 0:
        yield Reading("fanrpm", "rpm", _number(info, "fanrpm"), state.fan_rpm)


def _apart(reading: Reading) -> float:
    return abs(reading.ours / reading.theirs - 1) if reading.theirs else 0.0


def _number(info: Mapping[str, Any], name: str) -> float:
    value = info.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadResponse(f"{name}: {value!r} is no number")
    if not -LARGEST <= value <= LARGEST:  # nor is what is no number at all
        raise BadResponse(f"{name}: no device has so much")
    return float(value)


def fleet_file(copy: Copy, url: str) -> str:
    """Return a fleet file with the copy in it."""
    lines = [
        f"# A copy of the device at {url}. Run it with: softaxe run THIS_FILE",
        "[[group]]",
        'name = "clone"',
        f"board = {json.dumps(copy.board.version)}",
        f"firmware = {json.dumps(copy.release.version)}",
        f"seed = {copy.seed}",
        f"ambient = {copy.ambient_c}",
    ]
    if copy.settings:
        lines.append("[group.settings]")
        lines += [f"{name} = {_toml(value)}" for name, value in copy.settings.items()]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    # Of what settings hold, JSON writes numbers as TOML does, and texts but for one
    # character; what is beyond the basic plane it would write as two that TOML refuses.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
