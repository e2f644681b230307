from typing import Any

import pytest
from tests.each import each

from softaxe.description import read
from softaxe.effects import (
    EFFECTS,
    HTTP_EFFECTS,
    PRESETS,
    Area,
    Fault,
    effects_to_json,
    parameters,
)
from softaxe.errors import SettingError


@each("name", EFFECTS)
def test_every_effect_takes_its_defaults(name: str) -> None:
    own = {one.name: one.default for one in parameters(EFFECTS[name])}
    told: dict[str, Any] = {}
    if name == "bend":  # or nothing would change
        told["null"] = ("temp",)

    assert read(Fault, {"effect": name, **own, **told}) == EFFECTS[name](**told)


def test_only_requests_have_routes() -> None:
    assert all(EFFECTS[name].area is Area.REQUESTS for name in HTTP_EFFECTS)
    whole = {"wifi_loss", "silent", "away_refused"}
    assert not whole & HTTP_EFFECTS


def test_effects_are_told_with_what_they_take() -> None:
    told = {effect["name"]: effect for effect in effects_to_json()}

    assert list(told) == list(EFFECTS)
    assert told["ambient"] == {
        "name": "ambient",
        "area": "cooling",
        "of_requests": False,
        "help": "The air around the device has this temperature.",
        "parameters": [
            {
                "name": "c",
                "help": "Temperature of the air.",
                "kind": "number",
                "default": 40.0,
                "range": [-40, 100],
                "choices": [],
                "unit": "°C",
            }
        ],
    }
    (how,) = told["ota_failing"]["parameters"]
    assert how["choices"] == ["refused", "rolled back"]
    assert how["range"] is None
    kinds = {one["name"]: one["kind"] for one in told["bend"]["parameters"]}
    assert [kinds[name] for name in ("status", "known", "null", "set")] == [
        "number",
        "text",
        "names",
        "table",
    ]


def test_presets_are_orders() -> None:
    for order in PRESETS.values():
        read(Fault, order)


@pytest.mark.parametrize("reason", ["ä" * 128, "half a pair \ud800"])
def test_a_pool_says_nothing_that_stratum_v2_cannot_carry(reason: str) -> None:
    with pytest.raises(SettingError, match="reason"):
        read(Fault, {"effect": "pool_reject", "reason": reason})
