"""Eight pools to choose from, as releases from 2.15 on keep them.

A slot is a JSON text in NVS. Which one is the primary and which the fallback, two other
settings say. Source of members, their order, limits and quirks: ESP-Miner v2.15.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from msgspec import Struct

from softaxe.errors import SettingError
from softaxe.json_values import (
    JsonValue,
    double,
    is_number,
    show,
    utf8_size,
    whole,
)

SLOTS = 8
HIDDEN = "*****"
"""A password as info tells it; who sends it back keeps the one that is stored."""
MOST_DIFFICULTY = 10**18
U32 = 2**32 - 1
_AS_PRESET = "asPreset"
"""Of a stored slot: it leads to where this run has its own pool."""
_ALSO_PRESET = {"stratumTLS": "tls", "stratumCert": "cert"}
"""Members that such a slot leaves out when they are the run's, by the end of a key."""


def _member(name: str, default: object, least: int = 0, most: int = 1) -> Any:
    """Describe a member; limits are of a number, or of the bytes of a text."""
    return field(default=default, metadata={"name": name, "limits": (least, most)})


def _choice(name: str, *choices: str) -> Any:
    metadata = {"name": name, "choices": choices}
    return field(default=choices[0], metadata=metadata)


@dataclass(frozen=True, slots=True)
class PoolSlot:
    """A pool as it is stored."""

    protocol: str = _choice("stratumProtocol", "SV1", "SV2")
    url: str = _member("stratumURL", "", 1, 255)
    port: int = _member("stratumPort", 3333, 1, 65535)
    user: str = _member("stratumUser", "", 1, 255)
    password: str = _member("stratumPassword", "x", 0, 255)
    suggested_difficulty: int = _member(
        "stratumSuggestedDifficulty", 0, 0, MOST_DIFFICULTY
    )
    """As it is sent; 16 bits of it count."""
    extranonce_subscribe: bool = _member("stratumExtranonceSubscribe", default=False)
    tls: int = _member("stratumTLS", 0, 0, 2)
    cert: str = _member("stratumCert", "", 0, 3000)
    decode_coinbase: bool = _member("stratumDecodeCoinbase", default=True)
    v2_channel_type: str = _choice("stratumV2ChannelType", "extended", "standard")
    v2_authority_pubkey: str = _member("stratumV2AuthorityPubkey", "", 0, 128)
    v2_require_auth: bool = _member("stratumV2RequireAuth", default=False)

    @property
    def used_difficulty(self) -> int:
        """The difficulty that is suggested and told: 16 bits, of 32 at most."""
        return whole(self.suggested_difficulty) & 0xFFFF

    def told(self) -> dict[str, Any]:
        """Return what info tells of it, by JSON's names in their order."""
        return {name: getattr(self, attribute) for attribute, name in NAMES.items()} | {
            "stratumPassword": HIDDEN,
            "stratumSuggestedDifficulty": self.used_difficulty,
        }


class SlotRule(Struct, frozen=True):
    """What is allowed of a member."""

    attribute: str
    name: str
    default: str | int | bool
    least: int
    """Of the number, or of the bytes of the text."""
    most: int
    choices: tuple[str, ...]

    @property
    def kind(self) -> type:
        """Of the value: bool, int or str."""
        return type(self.default)

    @property
    def is_needed(self) -> bool:
        """It may not be left out."""
        return self.name in _NEEDED


COMPILED = PoolSlot(
    url="public-pool.io",
    port=21496,
    user="replace-this-with-your-btc-address.bitaxe",
    suggested_difficulty=1000,
)
"""What the first slot is while it holds nothing."""
NAMES = {one.name: one.metadata["name"] for one in fields(PoolSlot)}
"""Members as JSON spells them, in their order, by attribute."""
_NEEDED = ("stratumURL", "stratumPort", "stratumUser")
SLOT_RULES = tuple(
    SlotRule(
        attribute=one.name,
        name=one.metadata["name"],
        default=one.default,  # type: ignore[arg-type]
        least=one.metadata.get("limits", (0, 0))[0],
        most=one.metadata.get("limits", (0, 0))[1],
        choices=one.metadata.get("choices", ()),
    )
    for one in fields(PoolSlot)
)
"""Every member, in the order in which it is stored."""
_CHECKED_FIRST = (*_NEEDED, "stratumProtocol")
_IN_ORDER = (
    *(one for name in _CHECKED_FIRST for one in SLOT_RULES if one.name == name),
    *(one for one in SLOT_RULES if one.name not in _CHECKED_FIRST),
)


def nvs_key(slot: int) -> str:
    """Where a slot is stored; they count from 0, their keys from 1."""
    return f"pool_{slot + 1}"


NVS_KEYS = tuple(map(nvs_key, range(SLOTS)))


def empty(slot: int) -> PoolSlot:
    """Return what a slot is that holds nothing, or nothing that can be read."""
    return PoolSlot() if slot else COMPILED


def to_text(number: int, slot: PoolSlot, presets: Mapping[str, object]) -> str:
    """Write a slot for NVS.

    Args:
        number: Of the slot.
        slot: What is to be kept.
        presets: Rows that hold in this run alone. A slot that leads to the run's own
            pool will do so in the next one, wherever that pool is then.
    """
    if slot == empty(number):
        return ""
    members = {name: getattr(slot, attribute) for attribute, name in NAMES.items()}
    for prefix in ("stratum", "fbstratum"):
        own = presets.get(f"{prefix}url"), presets.get(f"{prefix}port")
        if own == (slot.url, slot.port):
            members["stratumURL"], members[_AS_PRESET] = "", prefix
            for name, key in _ALSO_PRESET.items():
                if presets.get(f"{prefix}{key}") == members[name]:
                    del members[name]
            break
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def from_text(number: int, text: object, presets: Mapping[str, object]) -> PoolSlot:
    """Read what `to_text` has written."""
    members = _read(text)
    if members is None:
        return empty(number)
    if (prefix := members.get(_AS_PRESET)) is not None:
        members["stratumURL"] = presets.get(f"{prefix}url", "")
        members["stratumPort"] = presets.get(f"{prefix}port", 0)
        for name, key in _ALSO_PRESET.items():
            if f"{prefix}{key}" in presets:
                members.setdefault(name, presets[f"{prefix}{key}"])
    found: dict[str, Any] = {}
    for rule in SLOT_RULES:
        value = members.get(rule.name, rule.default)
        if type(value) is not rule.kind:
            return empty(number)
        found[rule.attribute] = value
    return PoolSlot(**found)


def with_members(text: str, changes: Mapping[str, object]) -> str:
    """Change members of a stored slot, by attribute; one that cannot be read stays."""
    members = _read(text)
    if members is None:
        return text
    if "url" in changes:
        members.pop(_AS_PRESET, None)
    members |= {NAMES[attribute]: value for attribute, value in changes.items()}
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def _read(text: object) -> dict[str, Any] | None:
    """Read a stored slot's text; None when it has no members."""
    try:
        found = json.loads(text) if isinstance(text, str) and text else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def check_pools(value: JsonValue, pools: tuple[PoolSlot, ...]) -> tuple[PoolSlot, ...]:
    """Take `pools` of a PATCH: the slots that it lists are replaced, the others stay.

    Raises:
        SettingError: It is not allowed; names the first fault.
    """
    if not isinstance(value, list):
        raise SettingError(f"pools: {_kind_of(value)} is no array")
    changed = list(pools)
    for place, element in enumerate(value):
        where = f"pools[{place}]"
        members = _members_of(element, where)
        number = members.get("id")
        if not is_number(number) or not 0 <= whole(number) < SLOTS:
            shown = "nothing" if number is None else show(number)
            raise SettingError(f"{where}.id: {shown} is none of 0..{SLOTS - 1}")
        slot = whole(number)
        changed[slot] = _check(members, where, pools[slot])
    return tuple(changed)


def check_pool(value: JsonValue, stored: PoolSlot) -> PoolSlot:
    """Take a slot as PUT sends it, over the one that is stored.

    Raises:
        SettingError: It is not allowed; names the first fault.
    """
    return _check(_members_of(value, "pool"), "pool", stored)


def _kind_of(value: JsonValue) -> str:
    """Say what stands in a pool's place; a text there may hold its password."""
    return "a text" if isinstance(value, str) else show(value)


def _members_of(value: JsonValue, where: str) -> dict[str, JsonValue]:
    """Return members as cJSON finds them: without case, the first of equals."""
    if not isinstance(value, dict):
        raise SettingError(f"{where}: {_kind_of(value)} is no object")
    names = {name.lower(): name for name in ("id", *NAMES.values())}
    found: dict[str, JsonValue] = {}
    for name, one in value.items():
        if name.lower() in names:
            found.setdefault(names[name.lower()], one)
    return found


def _check(members: Mapping[str, JsonValue], where: str, stored: PoolSlot) -> PoolSlot:
    found: dict[str, Any] = {}
    for rule in _IN_ORDER:
        name = f"{where}.{rule.name}"
        if rule.name in members:
            found[rule.attribute] = _value(rule, members[rule.name], name)
        elif rule.is_needed:
            raise SettingError(f"{name}: it is missing")
    if found.get("password") == HIDDEN:
        found["password"] = stored.password
    return PoolSlot(**found)


def _value(rule: SlotRule, value: JsonValue, name: str) -> str | int | bool:
    """Judge a member."""
    if rule.kind is str:
        return _text(rule, value, name)
    if rule.kind is bool and isinstance(value, bool):
        return value
    if not isinstance(value, int | float) or isinstance(value, bool):
        kind = "boolean" if rule.kind is bool else "number"
        raise SettingError(f"{name}: {show(value)} is no {kind}")
    if rule.kind is bool:
        return bool(whole(value))
    number = double(value) if rule.most > U32 else whole(value)
    if not rule.least <= number <= rule.most:
        allowed = f"{rule.least}..{rule.most:g}"
        raise SettingError(f"{name}: {show(value)} is outside {allowed}")
    return int(number)


def _text(rule: SlotRule, value: JsonValue, name: str) -> str:
    is_secret = rule.attribute in {"password", "cert"}
    if not isinstance(value, str):
        shown = "a value" if is_secret else show(value)
        raise SettingError(f"{name}: {shown} is no string")
    size = utf8_size(value, name, "the text" if is_secret else show(value))
    if rule.choices and value not in rule.choices:
        raise SettingError(
            f"{name}: {show(value)} is none of {', '.join(rule.choices)}"
        )
    if not rule.choices and not rule.least <= size <= rule.most:
        allowed = f"{rule.least}..{rule.most} bytes"
        raise SettingError(f"{name}: {size} bytes is outside {allowed}")
    return value
