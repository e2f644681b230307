"""From a device to the bytes of an answer."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from operator import is_
from urllib.parse import unquote

from softaxe import cjson
from softaxe.api.schema import (
    DASHBOARD,
    RESPONSE_TIME,
    Column,
    Field,
    asic_fields,
    columns,
    info_fields,
    offered_columns,
)
from softaxe.catalog.firmware import Firmware
from softaxe.device.device import Device
from softaxe.device.patch import unmet_demands
from softaxe.device.pool_slots import NAMES, SLOT_RULES, SlotRule
from softaxe.device.profile import FIRMWARE, Profile
from softaxe.device.protection import CHIP_LIMIT_C, VR_LIMIT_C
from softaxe.device.setting_rules import Effect, Kind, Limits, Rule, rules
from softaxe.flash.image import SLOT_BYTES
from softaxe.flash.partitions import APP_SLOTS


class _Writer:
    """A table compiled into what prints it.

    What is told of an object that never changes stands in the template; the rest fills
    it.

    Args:
        rows: The table.
        is_compact: Without white space.
    """

    def __init__(self, rows: tuple[Field, ...], *, is_compact: bool) -> None:
        self._is_compact = is_compact
        self._rows = rows
        self._starts = _starts(rows, is_compact=is_compact)
        self._cells: list[tuple[cjson.Printer, Callable[[Device], object]]] = [
            (partial(_optional_text, start, row.print), row.get)
            if row.is_optional
            else (row.print, row.get)
            for row, start in zip(rows, self._starts, strict=True)
            if not row.of
        ]
        self._sources = tuple(sorted({row.of for row in rows if row.of}))

    def sources(self, device: Device) -> list[object]:
        """Return the objects of which a template tells."""
        return [getattr(device, name) for name in self._sources]

    def template(self, device: Device) -> str:
        """Print what is told of the sources; the rest has its places."""
        text = "{" if self._is_compact else "{\n"
        for row, start in zip(self._rows, self._starts, strict=True):
            if not row.of:
                text += "%s" if row.is_optional else f"{start}%s"
            elif (value := row.get(device)) is not None or not row.is_optional:
                text += f"{start}{row.print(value)}".replace("%", "%%")
        return text + ("}" if self._is_compact else "\n}")

    def body(self, device: Device, template: str) -> bytes:
        """Fill a template of the device's sources."""
        values = tuple([printer(get(device)) for printer, get in self._cells])
        return (template % values).encode("utf-8", "surrogateescape")


def _starts(rows: tuple[Field, ...], *, is_compact: bool) -> list[str]:
    """Return what stands before the value of each member; the first is never absent."""
    between, colon = (",", ":") if is_compact else (",\n\t", ":\t")
    first = "" if is_compact else "\t"
    return [
        f'{between if number else first}"{row.name}"{colon}'
        for number, row in enumerate(rows)
    ]


def _optional_text(start: str, printer: cjson.Printer, value: object) -> str:
    return "" if value is None else start + printer(value)


@cache
def _info_writer(firmware: Firmware) -> _Writer:
    return _Writer(info_fields(firmware), is_compact=firmware.rows.is_compact)


@cache
def _asic_writer(firmware: Firmware) -> _Writer:
    return _Writer(asic_fields(firmware), is_compact=firmware.rows.is_compact)


class Info:
    """Prints the answer of `/api/system/info` of one device again and again.

    Two thirds of it are settings and what a boot decides: they are printed anew only
    when one of the objects that have them is another.
    """

    __slots__ = ("_sources", "_template", "_writer")

    def __init__(self) -> None:
        self._writer: _Writer | None = None
        self._sources: list[object] = []
        self._template = ""

    def body(self, device: Device) -> bytes:
        """Print it."""
        writer = _info_writer(device.firmware)
        sources = writer.sources(device)
        if writer is not self._writer or not all(map(is_, sources, self._sources)):
            self._writer, self._sources = writer, sources
            self._template = writer.template(device)
        return writer.body(device, self._template)


def info_body(device: Device) -> bytes:
    """Print the answer of `/api/system/info`."""
    return Info().body(device)


def asic_body(device: Device) -> bytes:
    """Print the answer of `/api/system/asic`."""
    writer = _asic_writer(device.firmware)
    return writer.body(device, writer.template(device))


def statistics_body(device: Device, query: str) -> bytes:
    """Print the answer of `/api/system/statistics`.

    Args:
        device: Whose.
        query: The request's query string, undecoded.
    """
    firmware = device.firmware
    is_compact = firmware.rows.statistics_layout == "compact"
    timestamp = columns(firmware)[-1]
    chosen = [*chosen_columns(query, firmware, device.profile), timestamp]
    cells = [(column.print, column.get) for column in chosen]
    array = partial(cjson.array, is_compact=is_compact)
    samples = array(
        array([printer(get(sample)) for printer, get in cells])
        for sample in device.statistics.rows
    )
    return cjson.members(
        (
            ("currentTimestamp", cjson.number(device.boot_ms)),
            ("labels", array(cjson.string(c.label) for c in chosen)),
            ("statistics", samples),
        ),
        is_compact=is_compact,
    ).encode()


def scoreboard_body(device: Device) -> bytes:
    """Print the answer of `/api/system/scoreboard`."""
    is_compact = device.firmware.rows.scoreboard_layout == "compact"
    entries = (
        cjson.members(
            (
                ("difficulty", cjson.number(entry.difficulty)),
                ("job_id", cjson.string(entry.job_id)),
                ("extranonce2", cjson.string(entry.extranonce2)),
                ("ntime", cjson.number(entry.ntime)),
                ("nonce", cjson.string(f"{entry.nonce:08X}")),
                ("version_bits", cjson.string(f"{entry.version_bits:08X}")),
            ),
            depth=2,
            is_compact=is_compact,
        )
        for entry in device.scoreboard.entries
    )
    return cjson.array(entries, is_compact=is_compact).encode()


def info_that_differs(device: Device) -> Iterator[str]:
    """Yield the rows of the profile table by which a device tells other values."""
    told = [device.best_difficulty, device.best_session_difficulty]
    if device.firmware.rows.pool_difficulty == "integer":
        told.append(device.pool_difficulty)
    if any(0 < one < 1 for one in told):
        yield "small_difficulties_told"


def columns_that_differ(
    query: str, firmware: Firmware, profile: Profile
) -> Iterator[str]:
    """Yield the rows of the profile table by which a device has other columns."""
    genuine = FIRMWARE.on(firmware)
    known, wanted = offered_columns(firmware, genuine), wanted_columns(query, profile)
    here = chosen_columns(query, firmware, profile)
    labels = {column.label for column in known}
    if not genuine.columns_picked:
        if wanted & {column.label for column in here}:
            yield "columns_picked"
    elif labels & (wanted ^ wanted_columns(query, genuine)):
        yield "columns_decoded"
    promised = {column.label for column in here} - labels
    if promised & {RESPONSE_TIME}:
        yield "response_time_column"
    if promised - {RESPONSE_TIME}:
        yield "page_columns"


def chosen_columns(query: str, firmware: Firmware, profile: Profile) -> list[Column]:
    """The columns a query asks for, in the fixed order; all when it names none.

    All are those that clients of the version know by their place, too.
    """
    wanted = wanted_columns(query, profile)
    offered = offered_columns(firmware, profile)
    chosen = [column for column in offered if column.label in wanted]
    has_places = not FIRMWARE.on(firmware).columns_picked
    return chosen or list(columns(firmware)[:-1] if has_places else offered)


def wanted_columns(query: str, profile: Profile) -> set[str]:
    """Return the names that the query of `/api/system/statistics` asks for."""
    if not profile.columns_picked:
        return set()
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name.lower() == "columns":
            return set(
                (unquote(value) if profile.columns_decoded else value).split(",")
            )
    return set()


def dashboard_body(device: Device) -> bytes:
    """Print the answer of `/api/system/statistics/dashboard`: compact, unlabelled.

    Its numbers are not rounded. Source: ESP-Miner v2.10.
    """
    getters = [told.get for told in DASHBOARD]
    rows = ",".join(
        f"[{','.join([cjson.float_raw(get(sample)) for get in getters])},"
        f"{cjson.number(sample.timestamp_ms)}]"
        for sample in device.statistics.rows
    )
    now = cjson.number(device.boot_ms)
    return f'{{"currentTimestamp":{now},"statistics":[{rows}]}}'.encode()


def scan_body(device: Device) -> bytes:
    """Print the answer of `/api/system/wifi/scan`."""
    is_compact = device.firmware.rows.is_compact
    networks = cjson.array(
        (
            cjson.members(
                (
                    ("ssid", cjson.string(network.ssid)),
                    ("rssi", cjson.number(network.rssi_dbm)),
                    ("authmode", cjson.number(network.authmode)),
                ),
                depth=3,
                is_compact=is_compact,
            )
            for network in device.radio.scan()
        ),
        is_compact=is_compact,
    )
    return cjson.members((("networks", networks),), is_compact=is_compact).encode()


def theme_body(device: Device) -> bytes:
    """Print the answer of `/api/theme`."""
    settings, is_compact = device.settings, device.firmware.rows.is_compact
    rows = [("colorScheme", cjson.string(settings.theme_scheme))]
    if device.firmware.rows.theme_member == "primaryColor":
        rows.append(("primaryColor", cjson.string(settings.theme_color)))
    else:
        try:
            colors = json.loads(settings.theme_colors)
        except (ValueError, RecursionError):
            pass  # the firmware leaves out what is not JSON
        else:
            text = cjson.document(colors, depth=2, is_compact=is_compact)
            rows.append(("accentColors", text))
    body = cjson.members(rows, is_compact=is_compact)
    return body.encode("utf-8", "surrogateescape")


def error_body(text: str, *, is_compact: bool = False) -> bytes:
    """Print an error as the firmware prints its JSON 404."""
    rows = (("error", cjson.string(text)),)
    return cjson.members(rows, is_compact=is_compact).encode()


def redirect(host_name: str | None) -> dict[str, object]:
    """Return what the page is told when the device has another name."""
    return {
        "status": "success",
        "redirect": {
            "url": f"http://{host_name}.local",
            "delay": 2000,
            "message": "Hostname updated. Redirecting to new address...",
        },
    }


def patched_body(told: Mapping[str, object], *, is_compact: bool = False) -> bytes:
    """Print what there is to be said to a PATCH that was taken."""
    body = cjson.document(told, is_compact=is_compact)
    return body.encode("utf-8", "surrogateescape")


def message_body(text: str, *, is_compact: bool = False) -> bytes:
    """Print what an action has to say."""
    rows = (("message", cjson.string(text)),)
    return cjson.members(rows, is_compact=is_compact).encode()


DISMISSED = "Block found notification dismissed"


def dismissed_body(device: Device) -> bytes:
    """Print the answer to who needs no more news of a found block."""
    return cjson.members(
        (
            ("blockFound", cjson.number(device.blocks_found)),
            ("showNewBlock", cjson.boolean(device.shows_block)),
            ("message", cjson.string(DISMISSED)),
        ),
        is_compact=device.firmware.rows.is_compact,
    ).encode()


def setting_rules(device: Device) -> dict[str, object]:
    """What the web page needs to show and check every setting of a PATCH.

    Values of secrets stay here.
    """
    return {
        "overclock_guarded": device.profile.overclock_guarded,
        "is_strict": device.profile.is_strict,
        "pool_slots": len(device.settings.pools),
        "pool_members": [_member_rule(rule) for rule in SLOT_RULES],
        "settings": [
            _setting_rule(rule, device)
            for rule in rules(device.firmware, device.profile).values()
            if rule.names
        ],
    }


def _setting_rule(rule: Rule, device: Device) -> dict[str, object]:
    row, asked = rule.setting, rule.asked
    return {
        "name": rule.names[0],
        "is_own": rule.is_own,
        "description": row.description,
        "kind": row.kind,
        "unit": row.unit,
        **_limits_rule(rule, rule.limits),
        "asked": asked and _limits_rule(rule, asked),
        "choices": rule.choices,
        "effect": rule.effect,
        "is_waiting": _is_waiting(rule, device),
        "is_secret": row.is_secret,
        "value": None if row.is_secret else _shown_value(rule, device),
    }


def _member_rule(rule: SlotRule) -> dict[str, object]:
    """What is allowed of a member of a pool slot."""
    kinds = {str: "string", int: "integer", bool: "boolean"}
    return {
        "name": rule.name,
        "kind": kinds[rule.kind],
        "minimum": rule.least,
        "maximum": rule.most,
        "choices": rule.choices,
        "default": rule.default,
        "is_needed": rule.is_needed,
        "is_secret": rule.name == NAMES["password"],
    }


def _shown_value(rule: Rule, device: Device) -> object:
    value = getattr(device.settings, rule.name)
    return pool_views(device) if rule.kind is Kind.POOLS else value


def pool_views(device: Device) -> list[dict[str, object]]:
    """Return the pool slots that lead somewhere, as the API tells them."""
    return [
        {"id": number, **slot.told()}
        for number, slot in enumerate(device.settings.pools)
        if slot.url
    ]


def _limits_rule(rule: Rule, limits: Limits) -> dict[str, object]:
    return {
        "minimum": limits.minimum,
        "maximum": limits.maximum,
        "pattern": limits.pattern,
        "pattern_in_words": limits.pattern_in_words,
        "may_be_empty": limits.may_be_empty,
        "allowed": rule.allowed(limits),
    }


def _is_waiting(rule: Rule, device: Device) -> bool:
    """True while another value than the stored one is in force."""
    stored = getattr(device.settings, rule.name)
    in_force = getattr(device.settings_at_boot, rule.name)
    return rule.effect is Effect.RESTART and bool(stored != in_force)


def status(device: Device) -> dict[str, object]:
    """What the device's own API keeps silent about.

    Firmware goes on to show the last hash rate of a chip that is off, and the address
    family of a pool that is gone.
    """
    pools, reduction = device.pools, device.power_management.reduction
    heard_at = pools.heard_at
    unanswered, unanswered_s = pools.unanswered(device.now)
    block = device.found_block
    return {
        "bootMs": device.boot_ms,
        "poolConnected": pools.is_connected,
        "stoppedBy": device.stop_reasons,
        "miningStopped": device.is_mining_stopped,
        "poolSilentSeconds": None if heard_at is None else device.now - heard_at,
        "unansweredShares": unanswered,
        "unansweredSeconds": unanswered_s,
        "chips": {
            "answering": device.driver.detected_count,
            "hashing": device.hashing_count,
            "badReplies": device.driver.bad_frames,
            "badCommands": device.chain.bad_frames,
        },
        "difficulties": {
            "pool": pools.pool_difficulty,
            "best": device.mining.exact_difficulty,
            "bestSession": device.mining.exact_session_difficulty,
        },
        "overheatReduction": reduction
        and {
            "frequencyBefore": reduction.before_mhz,
            "frequency": reduction.after_mhz,
            "coreVoltageBefore": reduction.before_mv,
            "coreVoltage": reduction.after_mv,
        },
        "speaks": device.firmware.tag,
        "partitions": partitions(device),
        "warnings": _warnings(device),
        "wifiTrouble": device.radio.trouble,
        "limits": {"chip": CHIP_LIMIT_C, "regulator": VR_LIMIT_C},
        "choosesPool": "use_fallback_stratum" in rules(device.firmware, device.profile),
        "block": block
        and {"height": block.height, "secondsAgo": device.now - block.at},
    }


def _warnings(device: Device) -> list[str]:
    """What the API page has against the settings, but for those of the protection."""
    settings, reduction = device.settings, device.power_management.reduction
    unmet = unmet_demands(
        settings, profile=device.profile, board=device.board, release=device.firmware
    )
    if reduction and settings.frequency_mhz == reduction.after_mhz:
        unmet.pop("frequency", None)
    if reduction and settings.core_voltage_mv == reduction.after_mv:
        unmet.pop("coreVoltage", None)
    return list(unmet.values())


def partitions(device: Device) -> list[dict[str, object]]:
    """List the application partitions; what an image would tell is None without."""
    flash = device.flash
    rows: list[dict[str, object]] = []
    for label in APP_SLOTS:
        slot, image = flash.slots.get(label), flash.image(label)
        rows.append(
            {
                "label": label,
                "version": image and image.version,
                "project": image and image.project_name,
                "compiled": image and f"{image.compile_date} {image.compile_time}",
                "bytes": image and image.size,
                "slot_bytes": SLOT_BYTES,
                "boots": slot is None or slot.boots,
                "is_running": label == flash.running,
                "is_next": label == flash.boot_label,
            }
        )
    return rows
