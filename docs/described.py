"""Writes what is made from the descriptions in the code; a test compares it.

The tables of pages, the schemas of files, and the types of keyword arguments.
"""

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from msgspec import Struct

from softaxe.api.schema import DIFFICULTIES, Field, asic_fields, info_fields
from softaxe.bending import KNOWN, Break, Conversion, KnownBreak
from softaxe.catalog.firmware import Firmware, Kind, families, firmware
from softaxe.cli.schema import FileKind, schema_text
from softaxe.control.operations import OPERATIONS, Operation
from softaxe.description import Member, Schemas, members
from softaxe.effects import EFFECTS, PRESETS, OnRequests, help_of, parameters
from softaxe.expected import Requested
from softaxe.fleet.groups import Group
from softaxe.fleet.miners import AnyDeed
from softaxe.fleet.networks import WifiNetwork
from softaxe.fleet.options import RUN_KEYS, FleetFile
from softaxe.scenario import Expectation, Request, Step
from softaxe.stratum.dialects import (
    BELOW_1,
    BITS_OUTSIDE_MASK,
    CODES,
    DIALECTS,
    EVERYWHERE,
    LOW_DIFFICULTY_SHARE,
    SOFTAXE,
    STALE_JOB,
    SUGGEST_DIFFICULTY,
    UNKNOWN_JOB,
    UNKNOWN_METHOD,
    Dialect,
)
from softaxe.stratum.vardiff import VardiffRules

DOCS = Path(__file__).parent
OPTIONS = DOCS.parent / "src" / "softaxe" / "testing" / "options.py"
INFO = DOCS.parent / "src" / "softaxe" / "client" / "info.py"
OF_RUNNING = frozenset({"count", "board", "seed"})
"""Members of a group that `running` has as arguments of its own."""
SCHEMAS = Schemas("", is_openapi=False)
ALIASES = {Conversion: "ConversionName", KnownBreak: "BreakName"}
"""Names of types whose values do not fit into a line."""


# Tables of pages


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def members_table(kind: type[Struct], names: Iterable[str] | None = None) -> str:
    """Return one row per member of a Struct."""
    heads = ("member", "takes", "default", "meaning")
    chosen = None if names is None else set(names)
    rows = (
        [
            " or ".join(f"`{name}`" for name in (one.name, *one.also)),
            takes(SCHEMAS.of_member(one), one.unit),
            _default(SCHEMAS.of_member(one)),
            one.help,
        ]
        for one in members(kind)
        if chosen is None or one.field in chosen
    )
    return table(heads, rows)


def takes(schema: Mapping[str, Any], unit: str | None = None) -> str:
    """Tell what a schema allows, in words."""
    if "enum" in schema:
        return ", ".join(f"`{_plain(one)}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(takes(one) for one in schema["anyOf"])
    if "minimum" in schema:
        low, high = (_number(schema[name]) for name in ("minimum", "maximum"))
        return f"{low} to {high}{f' {unit}' if unit else ''}"
    match schema.get("type"):
        case "boolean":
            return "`true`, `false`"
        case "string":
            examples = schema.get("examples", ())[:3]
            return " such as ".join(["text", ", ".join(examples)][: 1 + bool(examples)])
        case "array":
            return f"list of {takes(schema['items'])}"
        case "object":
            return "table"
        case "number":
            return "number"
    return "table" if {"oneOf", "$ref"} & schema.keys() else "anything"


def _default(schema: Mapping[str, Any]) -> str:
    return f"`{_plain(schema['default'])}`" if "default" in schema else ""


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: float) -> str:
    return f"{value:g}" if value < 1e6 or value > 1e8 else f"{value:.0f}"


def effects_table() -> str:
    """Return one row per effect."""
    heads = ("effect", "acts on", "parameters", "what happens")
    rows = (
        [
            f"`{name}`",
            str(effect.area),
            "; ".join(map(_parameter, parameters(effect))) or "none",
            help_of(effect),
        ]
        for name, effect in EFFECTS.items()
    )
    return table(heads, rows)


def _parameter(member: Member) -> str:
    allowed = takes(SCHEMAS.of_member(member), member.unit).replace("`", "")
    default = member.default
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    if default is None or default in ({}, ()):
        shown = ""
    return f"`{member.name}` ({'; '.join(filter(None, (allowed, shown)))})"


def breaks_table() -> str:
    """Return one row per known break of answers."""
    rows = ([f"`{name}`", f"`{_asked(row)}`", row.help] for name, row in KNOWN.items())
    return table(("known", "requests", "the answer"), rows)


def _asked(row: Break) -> str:
    return row.route if row.method == "*" else f"{row.method} {row.route}"


def deeds_table() -> str:
    """Return one row per deed of the pool."""
    rows = (
        [
            f"`{deed.__struct_config__.tag}`",
            "; ".join(map(_parameter, members(deed))) or "none",
            str(deed.__doc__),
        ]
        for deed in get_args(AnyDeed)
    )
    return table(("deed", "parameters", "what happens"), rows)


def presets_table() -> str:
    """Return one row per common trouble."""
    rows = ([name, f"`{json.dumps(rule)}`"] for name, rule in PRESETS.items())
    return table(("trouble", "rule"), rows)


def rule_table() -> str:
    """Return what every rule can say."""
    names = OnRequests.__struct_fields__
    return members_table(OnRequests, names)


def spelling_table() -> str:
    """Return what each dialect's messages look like."""
    rows = (
        [
            f"`{name}`",
            f"`{dialect.reply % {'id': 5, 'result': 'true'}}`",
            f"`{dialect.refused(5, UNKNOWN_JOB)}`",
            f"`{dialect.notification % _OWN}`",
        ]
        for name, dialect in DIALECTS.items()
    )
    return table(("dialect", "accepted", "refused", "of the pool's own"), rows)


_OWN = {"method": "mining.set_difficulty", "params": "[1000]"}
_SPELLED = {"reply", "refusal", "notification", "separators", "error_tail", "errors"}


def refusals_table() -> str:
    """Return code and text of every refusal, by dialect."""
    rows = (
        [words, *(_error(dialect, words) for dialect in DIALECTS.values())]
        for words in CODES
        if any(words in dialect.errors for dialect in DIALECTS.values())
    )
    return table(("what is wrong", *(f"`{name}`" for name in DIALECTS)), rows)


_SAID_IF = {
    UNKNOWN_METHOD: "answers_unknown",
    STALE_JOB: "tells_stale",
    BITS_OUTSIDE_MASK: "checks_mask",
}
_OF_SUGGESTIONS = {
    "takes_suggestions",
    "early_suggestion",
    "answers_suggestion",
    "tells_any_suggestion",
    "suggestion_brings_job",
}


def _error(dialect: Dialect, words: str) -> str:
    if words in _SAID_IF and not getattr(dialect, _SAID_IF[words]):
        return "-"
    if words == BELOW_1 and words not in dialect.errors:
        words = LOW_DIFFICULTY_SHARE
    code, text, *_ = dialect.error(words)
    return f"{code} {text}".replace("%(difficulty)s", "...")


def dialects_table() -> str:
    """Return what else differs between dialects, a row for each."""
    rows = [
        [one.help, *(_member_of(dialect, one) for dialect in DIALECTS.values())]
        for one in members(Dialect)
        if one.help and one.field not in _SPELLED
    ]
    vardiffs = [dialect.vardiff for dialect in DIALECTS.values()]
    rows += [
        [one.help, *(_told_of(getattr(rules, one.field)) for rules in vardiffs)]
        for one in members(VardiffRules)
    ]
    return table(("", *(f"`{name}`" for name in DIALECTS)), rows)


def _member_of(dialect: Dialect, member: Member) -> str:
    if member.field in _OF_SUGGESTIONS and SUGGEST_DIFFICULTY not in dialect.methods:
        return "-"
    return _told_of(getattr(dialect, member.field))


def _told_of(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() if value == SOFTAXE.job_version:
            return f"{value:#x}"
        case float():
            return f"{value:g}"
        case Mapping() | tuple():
            names = [str(one) for one in value if one not in EVERYWHERE]
            return ", ".join(one.removeprefix("mining.") for one in names) or "-"
        case str() if {"%", "["} & set(value):
            return f"`{value}`"
    return str(value)


def api_table() -> str:
    """Return one row per operation of the control API."""
    rows = (
        [f"`{row.method} {row.path}{_query(row)}`", f"{row.help} {_told(row)}".strip()]
        for row in OPERATIONS
    )
    return table(("request", "does"), rows)


def _query(row: Operation) -> str:
    names = "&".join(one.name for one in members(row.query))
    return f"?{names}" if names else ""


def _told(row: Operation) -> str:
    if isinstance(row.body, type) and row.body is not Group:
        names = ", ".join(f"`{one.name}`" for one in members(row.body))
        return f"Takes {names}. {row.about}"
    return row.about


TABLES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "faults.md": {
        "members": rule_table,
        "effects": effects_table,
        "breaks": breaks_table,
        "presets": presets_table,
    },
    "fleet.md": {
        "keys": lambda: members_table(FleetFile, RUN_KEYS),
        "group": lambda: members_table(Group),
        "network": lambda: members_table(WifiNetwork),
        "operations": api_table,
    },
    "pools.md": {
        "deeds": deeds_table,
        "spelling": spelling_table,
        "refusals": refusals_table,
        "dialects": dialects_table,
    },
    "scenarios.md": {
        "step": lambda: members_table(Step),
        "request": lambda: members_table(Request),
        "expect": lambda: members_table(Expectation),
        "requested": lambda: members_table(Requested),
    },
}
"""Tables by page and by the names between which they stand there."""


def with_tables(page: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with its present tables."""
    for name, made in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}{made()}{end}{after}"
    return page


# Types of keyword arguments


def options_module() -> str:
    """Return the module of types by which checkers see a typo in an argument."""
    of_effects = {one.name: one for kind in EFFECTS.values() for one in members(kind)}
    of_groups = dict(_written(members(Group)))
    shared = {name: of_groups[name] for name in of_groups.keys() - OF_RUNNING}
    own = {name: of_groups[name] for name in sorted(OF_RUNNING)}
    named = {
        "EffectName": EFFECTS,
        "DeedName": [str(one.__struct_config__.tag) for one in get_args(AnyDeed)],
        **{alias: kind for kind, alias in ALIASES.items()},
    }
    literals = "".join(map(_literal, named, named.values()))
    return (
        '"""Keyword arguments as types; made by `make docs`, do not change by hand."""'
        "\n\nfrom collections.abc import Mapping, Sequence\n"
        "from typing import Literal, TypedDict\n\n"
        f"{literals}\n\n"
        + _typed_dict("FaultOptions", "What an order of a fault can say.", of_effects)
        + "\n\n"
        + _typed_dict("SharedOptions", "What devices have in common.", shared)
        + "\n\n"
        + _typed_dict("GroupOptions", "A group of devices.", own, of="SharedOptions")
    )


def _literal(name: str, values: Iterable[str]) -> str:
    lines = "".join(f"    {json.dumps(one)},\n" for one in values)
    return f"{name} = Literal[\n{lines}]\n"


def _written(found: Iterable[Member]) -> Iterator[tuple[str, Member]]:
    for member in found:
        yield from ((name, member) for name in (member.name, *member.also))


def _typed_dict(
    name: str, words: str, found: Mapping[str, Member], *, of: str = "TypedDict"
) -> str:
    total = ", total=False"
    lines = [f"class {name}({of}{total}):", f'    """{words}"""', ""]
    for key, member in sorted(found.items()):
        lines.append(f"    {key}: {_type_of(SCHEMAS.of_member(member))}")
    return "\n".join(lines) + "\n"


def _type_of(schema: Mapping[str, Any]) -> str:
    """Return the Python type of what a schema allows."""
    if "enum" in schema:
        values = tuple(schema["enum"])
        named = {tuple(kind): name for kind, name in ALIASES.items()}
        of = f"Literal[{', '.join(json.dumps(one) for one in values)}]"
        return named.get(values, of)
    if "anyOf" in schema:
        return " | ".join(map(_type_of, schema["anyOf"]))
    if not schema:
        return "object"
    kind = schema["type"]
    if isinstance(kind, list):
        # To Python false and true are numbers, too.
        named = [one for one in kind if one != "boolean" or "number" not in kind]
        return " | ".join(_type_of({"type": one}) for one in named)
    if kind == "array":
        return f"Sequence[{_type_of(schema['items'])}]"
    if kind == "object":
        return f"Mapping[str, {_type_of(_values(schema))}]"
    kinds = {"boolean": "bool", "integer": "int", "number": "float", "string": "str"}
    return kinds[kind]


def _values(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the values of a table; empty where they are anything."""
    values: Mapping[str, Any] | bool = schema["additionalProperties"]
    return {} if isinstance(values, bool) else values


# Types of answers


def info_module() -> str:
    """Return the module of types that a client reads answers into."""
    return (
        '"""Answers as types; made by `make docs`, do not change by hand.\n\n'
        "One class for all firmware versions, with the members as JSON has them. One\n"
        'that is not told of, or not by this version, is None.\n"""\n\n'
        "from msgspec import Struct\n\n"
        "from softaxe.client.members import (\n    CoinbaseOutput,\n    "
        "HashrateMonitor,\n    Partition,\n    Pool,\n    Rejection,\n)\n\n\n"
        + _answer("Info", "/api/system/info", info_fields)
        + "\n\n"
        + _answer("Asic", "/api/system/asic", asic_fields)
    )


_OF_MEMBERS = {
    "sharesRejectedReasons": "list[Rejection]",
    "coinbaseOutputs": "list[CoinbaseOutput]",
    "blockSignals": "list[str]",
    "hashrateMonitor": "HashrateMonitor",
    "partitions": "list[Partition]",
    "pools": "list[Pool]",
}
_OF_KINDS = {
    Kind.INTEGER: "int",
    Kind.BOOLEAN01: "bool",
    Kind.BOOLEAN: "bool",
    Kind.STRING: "str",
    Kind.INTEGERS: "list[int]",
}


def _answer(
    name: str, path: str, fields_of: Callable[[Firmware], Iterable[Field]]
) -> str:
    found: dict[str, dict[str, Field]] = {}
    for family in families():
        for field in fields_of(firmware(family)):
            found.setdefault(field.name, {})[family] = field
    lines = [f"class {name}(Struct, frozen=True, kw_only=True):"]
    lines += [f'    """What `{path}` tells."""', ""]
    for member, by_family in found.items():
        lines.append(f"    {member}: {_type_of_fields(by_family)} | None = None")
        *_, newest = by_family.values()
        unit = f" ({newest.unit})" if newest.unit else ""
        text = f"{newest.description}{unit}. {_since(by_family)}".strip()
        lines += textwrap.wrap(
            f'"""{text}"""', 88, initial_indent="    ", subsequent_indent="    "
        )
    return "\n".join(lines) + "\n"


def _type_of_fields(by_family: Mapping[str, Field]) -> str:
    *_, newest = by_family.values()
    if newest.name in _OF_MEMBERS:
        return _OF_MEMBERS[newest.name]
    kinds = {field.kind for field in by_family.values()}
    is_float = newest.name in DIFFICULTIES or not kinds <= _OF_KINDS.keys()
    return "float" if is_float else _OF_KINDS[newest.kind]


def _since(by_family: Mapping[str, Field]) -> str:
    """Tell which versions have it, where not all do."""
    had, known = list(by_family), families()
    since = "" if had[0] == known[0] else f"From {had[0]} on."
    until = "" if had[-1] == known[-1] else f"Up to {had[-1]}."
    return f"{since} {until}".strip()


# All of it


def outputs() -> Iterator[tuple[Path, str]]:
    """Yield every file with what should be in it."""
    for name, tables in TABLES.items():
        page = DOCS / name
        yield page, with_tables(page.read_text(encoding="utf-8"), tables)
    for kind in FileKind:
        yield DOCS / "schemas" / f"{kind}.json", f"{schema_text(kind)}\n"
    yield OPTIONS, options_module()
    yield INFO, info_module()


if __name__ == "__main__":
    for path, text in outputs():
        path.write_text(text, encoding="utf-8")
