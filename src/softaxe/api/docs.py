"""Writes docs/api.md and the table of docs/fidelity.md from the tables.

`python -m softaxe.api.docs docs` writes them; a test compares them.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from softaxe.api.schema import (
    WORDS,
    Column,
    Field,
    asic_fields,
    columns,
    info_fields,
)
from softaxe.catalog.firmware import (
    Firmware,
    Kind,
    families,
    firmware,
)
from softaxe.catalog.firmware.rows import ROWS as VERSION_ROWS
from softaxe.catalog.firmware.rows import Release, Row, release
from softaxe.device.profile import DOCUMENTED, FIRMWARE, ROWS
from softaxe.device.setting_rules import Rule, rules

BEGIN = "<!-- table of differences: made by make docs -->"
END = "<!-- end of the table -->"
AS_PAGE = "as the page"

VERSIONS_BEGIN = "<!-- table of versions: made by make docs -->"
VERSIONS_END = "<!-- end of the table of versions -->"
NONE = "–"
SAME = "="
MOST_CHOICES = 4
"""More are not listed."""
SHORT = {
    Kind.INTEGER: "i",
    Kind.FLOAT7: "f7",
    Kind.FLOAT_RAW: "fr",
    Kind.DOUBLE: "d",
    Kind.BOOLEAN01: "01",
    Kind.BOOLEAN: "b",
    Kind.STRING: "s",
    Kind.INTEGERS: "[i]",
    Kind.ARRAY: "[ ]",
    Kind.OBJECT: "{ }",
}
_KINDS_IN_WORDS = (
    "Kinds: "
    + ", ".join(f"`{short}` {WORDS[kind]}" for kind, short in SHORT.items())
    + f"; `?` there only while there is something to tell; {NONE} not there. f7 is "
    "rounded to seven decimals, fr has all digits of a single-precision number."
)

_ROUTES = {
    "GET /api/system/info": "All readings and settings, see below",
    "GET /api/system/asic": "The chip and its options",
    "GET /api/system/statistics": "Samples; `?columns=` picks columns",
    "GET /api/system/statistics/dashboard": "Four columns without labels",
    "GET /api/system/scoreboard": "The best nonces",
    "GET /api/system/wifi/scan": "Networks in range",
    "GET /api/system/logs": "The log as a file",
    "PATCH /api/system": "Change settings: all of the request, or nothing",
    "PUT /api/system/pools/*": "Store a pool in a slot, 0 to 7",
    "DELETE /api/system/pools/*": "Empty a slot",
    "POST /api/system/restart": "Reset the device in a second",
    "POST /api/system/identify": "Say hi for 30 seconds, or stop",
    "POST /api/system/pause": "Stop mining",
    "POST /api/system/resume": "Mine again",
    "POST /api/system/blockFound/dismiss": "Show the news of a block no more",
    "POST /api/system/boot": "Restart into another partition",
    "POST /api/system/OTA": "Install a firmware image and restart into it",
    "POST /api/system/OTAWWW": "Install an image of the web page",
    "GET /api/theme": "Colours of the web page",
    "POST /api/theme": "Change them",
    "GET /api/ws": "WebSocket: the device's log, a line per text frame",
    "GET /api/ws/live": "WebSocket: what has changed in the info, twice a second",
    "GET /recovery": "A page to install a www image or restart",
    "GET /*": "The web page: ours, or the one of the flashed image",
}
"""What each route does."""
_OWN_ROUTES = (
    ("GET /openapi.json", "This API, as the running version has it, as OpenAPI 3.1"),
    (
        "GET /softaxe/status.json",
        "What the API does not tell: work mode, pool, chips, partitions",
    ),
    ("GET /softaxe/settings.json", "Rules and values of the settings"),
    ("GET /softaxe/screens.json", "All pages of the screen, and which is shown"),
    ("GET /softaxe/log.txt", "The last lines of the log, 1,000 at most"),
    ("POST /softaxe/button/short", "Press the device's button: the next page"),
    ("POST /softaxe/button/long", "Hold it: the access point on or off"),
    ("GET /softaxe/screen.png", "The device's screen; `?scale=` 1 to 8"),
)
_ACCESS = (
    "Firmware versions by the family of releases that share a column; with `--profile "
    "documented` the routes of the API page are there on all of them. ● is for those "
    f"whom the access check lets in, ○ for everybody, {NONE} is no route. `OPTIONS` "
    "is answered where a browser asks before it sends: at all of `/api/` from 2.13 on."
)
_INTRODUCTION = (
    "Made from the tables in the code by `make docs`. Ranges are those of the "
    "`documented` profile on the default version, 2.12.2; [fidelity.md](fidelity.md) "
    "lists where firmware differs. A device describes its own version at "
    "`/openapi.json`."
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
    "404 for any other path or method below `/api/` from 2.9 on, 405 for another "
    "method elsewhere (a GET there leads to the web page); 429 for an eleventh "
    "WebSocket; 500 when the device cannot do it."
)


def api_page() -> str:
    """docs/api.md, whole."""
    columns_by_label = _of_all(lambda one: {c.label: c for c in columns(one)})
    return (
        "\n\n".join(
            (
                "# API",
                _INTRODUCTION,
                "## Routes",
                _ACCESS,
                _matrix(("route", "what it does"), _route_rows()),
                "Softaxe's own, on every version:",
                table(
                    ("route", "what it does"), ((f"`{a}`", b) for a, b in _OWN_ROUTES)
                ),
                _ERRORS,
                "## Settings",
                _SETTINGS,
                table(
                    ("member", "type", "allowed", "default", "felt", "meaning"),
                    map(_setting_row, _rules()),
                ),
                "By version: what is allowed; *any* where nothing is checked, `=` what "
                "the version before takes.",
                _matrix(("member", "meaning"), _setting_rows()),
                "## `/api/system/info`",
                _KINDS_IN_WORDS,
                _matrix(
                    ("member", "unit", "meaning"),
                    _member_rows(lambda one: {f.name: f for f in info_fields(one)}),
                ),
                "## `/api/system/asic`",
                _matrix(
                    ("member", "unit", "meaning"),
                    _member_rows(lambda one: {f.name: f for f in asic_fields(one)}),
                ),
                "## Columns of `/api/system/statistics`",
                _matrix(
                    ("column", "unit"),
                    (
                        (f"`{label}`", _newest(found).unit, *_cells(found, _kind))
                        for label, found in columns_by_label.items()
                    ),
                ),
            )
        ).rstrip()
        + "\n"
    )


T = TypeVar("T")


def _of_all(get: Callable[[Firmware], Mapping[str, T]]) -> dict[str, dict[str, T]]:
    """What versions have under each name, by family.

    The names are in the newest version's order; what only others have stands behind
    what is before it there.
    """
    found = {family: get(firmware(family)) for family in families()}
    names: list[str] = []
    for column in reversed(found.values()):
        place = 0
        for name in column:
            if name not in names:
                names.insert(place, name)
            place = names.index(name) + 1
    return {
        name: {
            family: column[name] for family, column in found.items() if name in column
        }
        for name in names
    }


def _newest(found: Mapping[str, T]) -> T:
    return [*found.values()][-1]


def _cells(found: Mapping[str, T], text: Callable[[T], str]) -> Iterator[str]:
    for family in families():
        yield text(found[family]) if family in found else NONE


def _matrix(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return table((*heads, *families()), rows)


def _kind(field: Field | Column) -> str:
    is_optional = isinstance(field, Field) and field.is_optional
    return SHORT[field.kind] + ("?" if is_optional else "")


def _member_rows(
    get: Callable[[Firmware], Mapping[str, Field]],
) -> Iterator[tuple[str, ...]]:
    for name, found in _of_all(get).items():
        row = _newest(found)
        told = f"{row.description}; {row.of_what}" if row.of_what else row.description
        yield f"`{name}`", row.unit, told, *_cells(found, _kind)


def _route_rows() -> Iterator[tuple[str, ...]]:
    routes = _of_all(lambda one: {f"{r.method} {r.path}": r for r in one.routes})
    for name, words in _ROUTES.items():
        cells = _cells(routes[name], lambda route: "●" if route.is_checked else "○")
        yield f"`{name}`", words, *cells


def _setting_rows() -> Iterator[tuple[str, ...]]:
    for key, found in _of_all(_own_rules).items():
        yield (
            f"`{key}`",
            _newest(found).setting.description,
            *_changes(_cells(found, _allowed)),
        )


def _own_rules(of: Firmware) -> Mapping[str, Rule]:
    """What a version itself takes, by key."""
    found = rules(of, FIRMWARE.on(of)).values()
    return {rule.names[0]: rule for rule in found if rule.names and rule.is_own}


def _allowed(rule: Rule) -> str:
    if not rule.is_checked:
        return "any"
    return "a choice" if len(rule.choices) > MOST_CHOICES else rule.allowed(rule.limits)


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
    """Put both tables into docs/fidelity.md, between their markers."""
    page = _with(page, BEGIN, fidelity_table(), END)
    return _with(page, VERSIONS_BEGIN, versions_table(), VERSIONS_END)


def _with(page: str, begin: str, made: str, end: str) -> str:
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def versions_table() -> str:
    """The table of what versions do beyond their lists of names."""
    return _matrix(("row", "what"), map(_version_row, VERSION_ROWS.values()))


def _version_row(row: Row) -> tuple[str, ...]:
    texts = [_value(row.value(release(firmware(one).version))) for one in families()]
    cells = list(_changes(texts))
    for since in row.steps:
        major, minor, patch = since
        if patch and (family := f"{major}.{minor}") in families():
            cells[families().index(family)] += f" from {_release(since)}"
    return f"`{row.name}`", row.words, *cells


def _changes(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts; what is the same as before as `=`."""
    before = None
    for text in texts:
        yield SAME if text == before else text
        before = text


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return NONE
    if isinstance(value, tuple):
        return ", ".join(map(_value, value))
    if not isinstance(value, str):
        return f"{value}"
    if value.isspace():
        return "a blank"
    if not value.isprintable():
        return f"{len(value)} invisible characters"
    return f"`{value}`"


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
