"""PATCH /api/system: what of a request is taken, and what the API page says of it.

Releases from 2.11 on check every value, and take a request as a whole or not at all;
older ones take whatever comes. Source: ESP-Miner http_server.c, nvs_config.c.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from softaxe.catalog import Board
from softaxe.catalog.firmware import Firmware, firmware
from softaxe.catalog.firmware.rows import Rows
from softaxe.device.pool_slots import SLOTS, PoolSlot, check_pools
from softaxe.device.profile import FIRMWARE, Profile
from softaxe.device.setting_rules import (
    BY_NAME,
    MOST_FLOAT,
    MOST_TEXT_BYTES,
    U16,
    Kind,
    Limits,
    Rule,
    Value,
    board_options,
    rules,
)
from softaxe.device.settings import Settings
from softaxe.device.transport import refused
from softaxe.errors import PatchRefused, SettingError
from softaxe.json_values import (
    JsonValue,
    double,
    show,
    utf8_size,
    whole,
)
from softaxe.units import float32

SAYS = ", says the API page"
_URLS = "pool_url_scheme_understood"


class Patch(Struct, frozen=True):
    """A PATCH that is taken."""

    changes: Mapping[str, Value]
    """By Python name."""
    warnings: tuple[str, ...]
    """What the API page asks for and this does not meet."""
    differs: tuple[str, ...]
    """Rows of the profile table by which a device would do something else."""


def check_patch(
    settings: Settings,
    members: list[tuple[str, JsonValue]],
    *,
    profile: Profile,
    board: Board,
    release: Firmware | None = None,
) -> Patch:
    """Check a PATCH as a whole.

    Names are compared without case and the first of equal names counts, as cJSON does;
    unknown names are ignored.

    Args:
        settings: As they are.
        members: The request's members in their order.
        profile: Which limits hold.
        board: For the options of frequency and voltage.
        release: Whose rules; None for the usual one's.

    Raises:
        PatchRefused: Names every member that is not allowed, its value and what is.
    """
    given: dict[str, JsonValue] = {}
    for name, value in members:
        given.setdefault(name.lower(), value)
    release = release or firmware()
    judgement = _Judgement(settings, profile)
    for rule in rules(release, profile).values():
        for name in rule.names:
            if name.lower() in given:
                judgement.judge(rule, name, given[name.lower()])
    changes = judgement.changes
    wanted = changes.get("hostname")
    if isinstance(wanted, str) and release.rows.hostname_change == "live with redirect":
        changes["hostname"] = re.sub(r"(?i)[.]local\Z", "", wanted)
    if not changes.get("is_overclock_enabled", settings.is_overclock_enabled):
        for name, options in board_options(board).items():
            # A form sends every setting back: what is in force may stay.
            kept = getattr(settings, name)
            if (value := changes.get(name, kept)) not in (*options, kept):
                complaint = _off_options(name, value, options)
                judgement.demand("overclock_guarded", complaint)
    for name, url in _urls_of(settings, changes):
        try:
            check_url(name, url, profile, release.rows)
        except PatchRefused as error:
            judgement.refuse(_URLS, str(error))
    return judgement.result()


def check_url(name: str, url: str, profile: Profile, rows: Rows) -> None:
    """Look whether a release can do what a pool's URL asks for, where it is read.

    Raises:
        PatchRefused: It cannot; `name` is what is told to hold the URL.
    """
    if profile.keeps(_URLS) and (why := refused(url, rows)):
        raise PatchRefused(f"{name}: {show(url)}: {why}", (_URLS,))


@dataclass(slots=True)
class _Judgement:
    """What comes of a PATCH's members, one after the other."""

    settings: Settings
    profile: Profile
    changes: dict[str, Value] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    differs: dict[str, None] = field(default_factory=dict)
    """Rows of the profile table, in their order of appearance."""

    def judge(self, rule: Rule, name: str, value: JsonValue) -> None:
        """Take a member, or complain."""
        if not rule.is_own:
            self.differs["page_settings_known"] = None
        if rule.kind is Kind.POOLS:
            self._take_pools(value)
        elif rule.is_checked:
            self._check(rule, name, value)
        else:
            self._take_anything(rule, name, value)

    def _check(self, rule: Rule, name: str, value: JsonValue) -> None:
        row, limits = rule.setting, rule.limits
        alias = row.alias if row.alias and row.alias.name == name else None
        objection = _objection(rule, name, value, rule.own_limits)
        if complaint := _objection(rule, name, value, limits):
            if alias:  # to a device a name that it does not know
                self.demand(alias.demand, complaint, "; it is left alone")
            elif objection:
                self.refuse("patch_errors_explained", complaint)
            else:
                self.demand(row.page_row, complaint)
            return
        self.changes.setdefault(row.name, _checked(rule, name, value, limits))
        if alias:
            self.differs[alias.row] = None
        elif objection or rule.is_understood(value):
            self.differs[row.page_row] = None
        if asked := rule.asked:
            self.demand(row.page_row, _objection(rule, name, value, asked), SAYS)

    def _take_anything(self, rule: Rule, name: str, value: JsonValue) -> None:
        """Take what a release without checks makes of a value."""
        taken, asked = _taken(rule, value), rule.asked or rule.limits
        if complaint := _objection(rule, name, value, asked):
            self.demand("values_checked", complaint, _becomes(taken))
        if taken is not None:
            self.changes.setdefault(rule.name, taken)
        if rule.is_understood(value):
            self.differs[rule.setting.page_row] = None

    def _take_pools(self, value: JsonValue) -> None:
        try:
            pools = check_pools(value, self.settings.pools)
        except SettingError as error:
            self.refuse("patch_errors_explained", str(error))
        else:
            self.changes["pools"] = pools

    def demand(self, name: str, complaint: str, more: str = "") -> None:
        """Do what the profile does about a demand.

        Args:
            name: Its row of the profile table.
            complaint: How it is not met; empty when it is.
            more: What a warning says beside the complaint.
        """
        if not complaint:
            return
        if self.profile.warns_of(name):
            self.warnings.append(f"{complaint}{more}")
        elif self.profile.keeps(name):
            self.refuse(name, complaint)

    def refuse(self, difference: str, complaint: str) -> None:
        """Take nothing of the whole."""
        self.errors.append(complaint)
        if getattr(self.profile, difference):
            self.differs[difference] = None

    def result(self) -> Patch:
        """Return what is taken, or raise PatchRefused."""
        if self.errors:
            raise PatchRefused("; ".join(self.errors), tuple(self.differs))
        return Patch(self.changes, tuple(self.warnings), tuple(self.differs))


def _urls_of(
    settings: Settings, changes: Mapping[str, Value]
) -> Iterator[tuple[str, str]]:
    """Yield what changes of where pools are: the name of what is changed, and the URL.

    A form sends every setting back: what is in force may stay.
    """
    for name in ("stratum_url", "fallback_stratum_url"):
        value = changes.get(name, getattr(settings, name))
        if value != getattr(settings, name) and isinstance(value, str):
            yield str(BY_NAME[name].rest_name), value
    pools = changes.get("pools", ())
    for number, slot in enumerate(pools if isinstance(pools, tuple) else ()):
        if slot != settings.pools[number]:
            yield f"pools: {number}", slot.url


def unmet_demands(
    settings: Settings,
    *,
    profile: Profile,
    board: Board,
    release: Firmware | None = None,
) -> dict[str, str]:
    """Tell what the API page has against settings that are in force, by REST name."""
    found = {}
    for rule in rules(release or firmware(), profile).values():
        asked = rule.asked
        if not rule.names or asked is None:
            continue
        name, value = rule.names[0], getattr(settings, rule.name)
        if complaint := _objection(rule, name, value, asked):
            found[name] = f"{complaint}{SAYS}"
    if profile.overclock_guarded and not settings.is_overclock_enabled:
        for name, options in board_options(board).items():
            rest_name, value = BY_NAME[name].rest_name, getattr(settings, name)
            if value not in options and rest_name:
                found[rest_name] = _off_options(name, value, options)
    return found


def _objection(rule: Rule, name: str, value: JsonValue, limits: Limits) -> str:
    """Tell what is wrong with a value, or nothing."""
    try:
        _checked(rule, name, value, limits)
    except SettingError as error:
        return str(error)
    return ""


def _checked(rule: Rule, name: str, value: JsonValue, limits: Limits) -> Value:
    if rule.kind is Kind.STRING:
        return _checked_text(rule, name, value, limits)
    allowed = rule.allowed(limits)
    is_boolean = isinstance(value, bool)
    if not isinstance(value, int | float) or (
        is_boolean and rule.kind is not Kind.BOOLEAN
    ):
        raise SettingError(f"{name}: {show(value)} is no {rule.kind} ({allowed})")
    exact = double(value)
    number = exact if rule.kind is Kind.FLOAT else whole(exact)
    if not limits.minimum <= number <= limits.maximum:
        raise SettingError(f"{name}: {show(value)} is outside {allowed}")
    if rule.choices and number not in rule.choices:
        raise SettingError(f"{name}: {show(value)} is none of {allowed}")
    if rule.kind is Kind.BOOLEAN:
        return bool(number)
    return float32(number) if rule.kind is Kind.FLOAT else number


def _checked_text(rule: Rule, name: str, value: JsonValue, limits: Limits) -> str:
    is_secret = rule.setting.is_secret
    if not isinstance(value, str):
        shown = "a value" if is_secret else show(value)
        raise SettingError(f"{name}: {shown} is no string")
    if not value and limits.may_be_empty:
        return value
    size = utf8_size(value, name, "the text" if is_secret else show(value))
    shown = f"{size} bytes" if is_secret or size > limits.maximum else show(value)
    if not limits.minimum <= size <= limits.maximum:
        raise SettingError(f"{name}: {shown} is outside {rule.allowed(limits)}")
    if rule.choices and value not in rule.choices:
        raise SettingError(f"{name}: {shown} is none of {rule.allowed(limits)}")
    if limits.pattern and not re.fullmatch(limits.pattern, value):
        raise SettingError(f"{name}: {shown} may hold {limits.pattern_in_words}")
    return value


_ONLY_POSITIVE = frozenset({"frequency_mhz", "core_voltage_mv"})


def _taken(rule: Rule, value: JsonValue) -> Value | None:
    """Return what a release without checks stores; None when it ignores the member.

    Flags come as the number that is stored.
    """
    if rule.kind is Kind.STRING:
        return value if isinstance(value, str) and _can_be_stored(value) else None
    if rule.name == "is_overheated":
        return 0
    exact = double(value) if isinstance(value, int | float) else 0.0
    is_exact = rule.nvs_key == "asicfrequency_f"
    number = whole(exact)
    if rule.name in _ONLY_POSITIVE and not (exact if is_exact else number) > 0:
        return None
    if is_exact:
        return float32(min(exact, MOST_FLOAT))
    if rule.name == "display_timeout_min":
        return number
    return float(number & U16) if rule.kind is Kind.FLOAT else number & U16


def _can_be_stored(text: str) -> bool:
    try:
        return utf8_size(text, "", "") <= MOST_TEXT_BYTES
    except SettingError:
        return False


def _becomes(taken: Value | None) -> str:
    if taken is None:
        return "; it is left alone"
    if isinstance(taken, int | float):
        return f"; {taken:g} is stored"
    return "; it is stored as it is"


def _off_options(name: str, value: Value, options: tuple[int, ...]) -> str:
    row = BY_NAME[name]
    return (
        f"{row.rest_name}: {value:g} {row.unit} is none of the board's options "
        f"{', '.join(map(str, options))}; the API page asks for overclockEnabled 1"
    )


def check_sent(members: Mapping[str, Any], release: Firmware) -> dict[str, Value]:
    """Check settings before they are sent to a device.

    Stricter than devices: what they ignore is a mistake of the sender's, and releases
    that take anything are asked for what later ones take.

    Args:
        members: By the names of a PATCH.
        release: Of the device.

    Returns:
        What the device makes of every value: rounded to what it stores.

    Raises:
        PatchRefused: Names every member that is not allowed, its value and what is.
    """
    known = {
        name: rule for rule in rules(release, FIRMWARE).values() for name in rule.names
    }
    taken: dict[str, Value] = {}
    errors = []
    for name, value in members.items():
        try:
            if name not in known:
                raise SettingError(_unknown(name, known, release))
            if known[name].kind is Kind.POOLS:
                taken[name] = check_pools(value, (PoolSlot(),) * SLOTS)
            else:
                taken[name] = _checked(known[name], name, value, known[name].own_limits)
        except SettingError as error:
            errors.append(str(error))
    if errors:
        raise PatchRefused("; ".join(errors))
    return taken


def _unknown(name: str, known: Iterable[str], release: Firmware) -> str:
    near = get_close_matches(name, known, 1)
    meant = f"; {near[0]} is one" if near else f"; there are {', '.join(sorted(known))}"
    return f"{name}: {release.tag} has no such setting{meant}"
