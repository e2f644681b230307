"""Writes docs/api.md and the table of docs/fidelity.md from the tables.

`python -m softaxe.api.docs docs` writes them; a test compares them.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from softaxe.api.schema import Field, asic_fields, columns, info_fields
from softaxe.catalog.firmware import firmware
from softaxe.catalog.firmware.rows import Release
from softaxe.device.profile import DOCUMENTED, ROWS
from softaxe.device.settings import Rule, rules

BEGIN = "<!-- table of differences: made by make docs -->"
END = "<!-- end of the table -->"
AS_PAGE = "as the page"

_ROUTES = (
    ("GET /api/system/info", "All readings and settings, see below"),
    ("GET /api/system/asic", "The chip and its options"),
    ("GET /api/system/statistics", "Samples; `?columns=` picks columns"),
    ("GET /api/system/statistics/dashboard", "Four columns without labels"),
    ("GET /api/system/wifi/scan", "Networks in range"),
    ("PATCH /api/system", "Change settings: all of the request, or nothing"),
    ("POST /api/system/restart", "Reset the device in a second"),
    ("POST /api/system/identify", "Say hi for 30 seconds, or stop"),
    ("POST /api/system/OTA", "Install a firmware image and restart into it"),
    ("POST /api/system/OTAWWW", "Install an image of the web page"),
    ("GET /api/theme, POST /api/theme", "Colours of the web page"),
    ("WebSocket /api/ws", "The device's log, a line per text frame"),
    ("GET /recovery", "A page to install a www image or restart"),
    ("GET /", "The web page: ours, or the one of the flashed image"),
    ("GET /openapi.json", "This API as OpenAPI 3.1; softaxe's own"),
    (
        "GET /softaxe/status.json",
        "What the API does not tell: work mode, pool, chips, partitions; softaxe's own",
    ),
    ("GET /softaxe/settings.json", "Rules and values of the settings; softaxe's own"),
    ("GET /softaxe/screen.png", "The device's screen; `?scale=` 1 to 8; softaxe's own"),
)
_INTRODUCTION = (
    "Made from the tables in the code by `make docs`. Ranges are those of the "
    "`documented` profile; [fidelity.md](fidelity.md) lists where firmware v2.12.2 "
    "differs."
)
_SETTINGS = (
    "Members of `PATCH /api/system`. Names are compared without case, unknown ones are "
    "ignored. What the API page asks for and a device does not care about is taken and "
    'told: an accepted PATCH answers `{}`, or `{"warnings": [...]}` with a line for '
    "each such member. These are the ranges that the page asks for below, a `fanspeed` "
    "that is no number from 0 to 100 (it is left alone), and a `frequency` or "
    "`coreVoltage` outside the board's options without `overclockEnabled` 1, stored or "
    "in the same request. `--strict` makes each of them a 400. Defaults are those of a "
    "601; `softaxe run` points the pools at its own, and a hostname that nobody has "
    "set ends in the last four digits of the MAC address, as in `bitaxe-f369`."
)
_ERRORS = (
    "Errors: 400 names the member, its value and what is allowed, or what is wrong "
    "with an image; 401 when the client or its page is outside the allowed networks; "
    "404 for any other path or method below `/api/`, 405 for another method "
    "elsewhere (a GET there leads to the web page); 429 for an eleventh "
    "WebSocket; 500 when the device cannot do it."
)


def api_page() -> str:
    """docs/api.md, whole."""
    return (
        "\n\n".join(
            (
                "# API",
                _INTRODUCTION,
                "## Routes",
                table(("route", "what it does"), ((f"`{a}`", b) for a, b in _ROUTES)),
                _ERRORS,
                "## Settings",
                _SETTINGS,
                table(
                    ("member", "type", "allowed", "default", "felt", "meaning"),
                    map(_setting_row, _rules()),
                ),
                "## `/api/system/info`",
                table(
                    ("member", "type", "unit", "meaning"),
                    map(_member_row, info_fields(firmware())),
                ),
                "## `/api/system/asic`",
                table(
                    ("member", "type", "unit", "meaning"),
                    map(_member_row, asic_fields(firmware())),
                ),
                "## Columns of `/api/system/statistics`",
                table(
                    ("column", "unit"),
                    ((f"`{c.label}`", c.unit) for c in columns(firmware("2.13"))),
                ),
            )
        ).rstrip()
        + "\n"
    )


def _member_row(row: Field) -> tuple[str, ...]:
    return f"`{row.name}`", row.kind_in_words, row.unit, row.description


def fidelity_table() -> str:
    """The table of docs/fidelity.md."""
    rows = (
        (f"`{row.name}`", row.kind, row.page, _by_version(row.steps))
        for row in ROWS.values()
    )
    return table(("difference", "kind", "the page", "`firmware`"), rows)


def _by_version(steps: Mapping[Release, str | None]) -> str:
    """What versions do, each with the releases that do so."""
    said = [words or AS_PAGE for words in steps.values()]
    starts = [_release(since) for since in steps][1:]
    if not starts:
        return said[0]
    parts = [f"before {starts[0]}: {said[0]}"]
    parts += [
        f"from {since}: {words}" for since, words in zip(starts, said[1:], strict=True)
    ]
    return "; ".join(parts)


def _release(number: Release) -> str:
    major, minor, patch = number
    return f"{major}.{minor}.{patch}" if patch else f"{major}.{minor}"


def with_fidelity_table(page: str) -> str:
    """Put the table into docs/fidelity.md, between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{fidelity_table()}\n\n{END}{after}"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay out a Markdown table."""
    names = list(heads)
    lines = [_line(names), _line(["---"] * len(names)), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _rules() -> list[Rule]:
    return [rule for rule in rules(firmware(), DOCUMENTED).values() if rule.names]


def _setting_row(rule: Rule) -> tuple[str, ...]:
    row, allowed = rule.setting, rule.allowed(rule.limits)
    if words := rule.asked_words:
        allowed += f"; the page asks for {words}"
    default = row.default
    if isinstance(default, bool):
        default = int(default)
    name, *aliases = rule.names
    return (
        f"`{name}`",
        row.kind,
        allowed,
        "" if row.is_secret else f"`{default}`",
        rule.effect,
        "; ".join([row.description, *(f"`{name}` sets it too" for name in aliases)]),
    )


def main() -> None:
    """Write both pages into the folder given as argument."""
    folder = Path(sys.argv[1])
    (folder / "api.md").write_text(api_page(), encoding="utf-8")
    fidelity = folder / "fidelity.md"
    page = with_fidelity_table(fidelity.read_text(encoding="utf-8"))
    fidelity.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
