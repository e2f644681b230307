"""One description of what people write and are told: msgspec Structs, read and told.

A table of a file, a body of a request, an answer or an order is a Struct. Its fields
have kinds and defaults, and `about` them is said: ranges, words, and in `extra` that
for which msgspec's `Meta` has no word:

    unit    what a number counts
    also    another name that is taken for the same member
    check   complains about a value that has the right kind
    read    judges the value as written and returns what the field holds
    schema  JSON schema of the value as written, where `read` takes another kind
    kept    the Struct or union by which a table is judged that is kept as it is written
    inner   True for a field that nobody writes

A Struct whose class says `takes_null` takes null for a member that is left out, and one
with `one_of` needs one of these members and no other of them.
From it come complaints that name member, value and what is allowed, rows for tables of
the docs, and JSON schema. Members of a Struct stand before those that it inherits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from math import isfinite
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Meta, Struct, inspect, to_builtins

from softaxe.errors import SettingError, read_as

Schema = dict[str, Any]
MOST_SHOWN = 200
"""Characters of a value in a complaint."""
NO_EXTRA: Mapping[str, Any] = {}


def about(
    words: str = "",
    *,
    within: tuple[float, float] | None = None,
    length: tuple[int, int] | None = None,
    pattern: str | None = None,
    told: Mapping[str, Any] = NO_EXTRA,
    **extra: Any,
) -> Meta:
    """Return what is said about a field.

    Args:
        words: What it means.
        within: Least and most, of a number.
        length: Least and most characters, of a text, or entries, of a list.
        pattern: Of a text, for its schema; `check` has to look for it.
        told: What its schema says besides.
        **extra: As above.
    """
    said: dict[str, Any] = {"pattern": pattern, "extra": extra}
    said["extra_json_schema"] = {**told, "description": words} if words else told
    said["ge"], said["le"] = within or (None, None)
    least, most = length or (None, None)
    said["min_length"], said["max_length"] = least or None, most
    return Meta(**{k: v for k, v in said.items() if v is not None and v != {}})


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a Struct, as people know it."""

    name: str
    field: str
    """Its name in Python."""
    kind: inspect.Type
    """Without what is said about it."""
    extra: Mapping[str, Any]
    told: Mapping[str, Any]
    """What its schema says besides, such as `description`."""
    default: Any
    """NODEFAULT when it has to be given."""
    takes_null: bool

    @property
    def help(self) -> str:
        """What it means."""
        return str(self.told.get("description", ""))

    @property
    def unit(self) -> str | None:
        """What it counts."""
        return self.extra.get("unit")

    @property
    def also(self) -> tuple[str, ...]:
        """Other names of it."""
        return tuple(self.extra.get("also", ()))

    @property
    def limits(self) -> tuple[float, float] | None:
        """Least and most, of a number."""
        if not isinstance(self.kind, inspect.IntType | inspect.FloatType):
            return None
        return None if self.kind.ge is None else _limits(self.kind)

    @property
    def choices(self) -> tuple[Any, ...]:
        """All values there are, if they are few."""
        return _choices(self.kind)


_info = cache(inspect.type_info)


@cache
def members(kind: type[Struct]) -> tuple[Member, ...]:
    """What a Struct is made of."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    kinds = [one for one in kind.__mro__ if issubclass(one, Struct)]

    def heirs(field: inspect.Field) -> int:
        return sum(field.name in one.__struct_fields__ for one in kinds)

    hints = get_type_hints(kind, include_extras=True)
    takes_null = getattr(kind, "takes_null", False)
    found = (
        _member(field, hints[field.name], takes_null=takes_null)
        for field in sorted(info.fields, key=heirs)
    )
    return tuple(one for one in found if not one.extra.get("inner"))


def _member(field: inspect.Field, hint: object, *, takes_null: bool) -> Member:
    kind, extra, told = field.type, NO_EXTRA, NO_EXTRA
    while isinstance(kind, inspect.Metadata) or _is_optional(kind):
        if isinstance(kind, inspect.UnionType):
            (kind,) = (one for one in kind.types if not _is_null(one))
            takes_null = takes_null or field.required
        else:
            assert isinstance(kind, inspect.Metadata)
            extra = {**(kind.extra or {}), **extra}
            told = {**(kind.extra_json_schema or {}), **told}
            kind = kind.type
    if isinstance(kind, inspect.LiteralType):  # msgspec sorts its values
        kind = inspect.LiteralType(_literals(hint))
    default = field.default
    if field.default_factory is not NODEFAULT:
        default = field.default_factory()
    return Member(field.encode_name, field.name, kind, extra, told, default, takes_null)


def _literals(hint: object) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next(filter(None, map(_literals, get_args(hint))), ())


def _is_null(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.NoneType)


def _is_optional(kind: inspect.Type) -> bool:
    return (
        isinstance(kind, inspect.UnionType)
        and len(kind.types) == 2
        and any(map(_is_null, kind.types))
    )


def _limits(kind: inspect.IntType | inspect.FloatType) -> tuple[float, float]:
    low, high = kind.ge, kind.le
    assert low is not None
    assert high is not None
    return low, high


def _choices(kind: inspect.Type) -> tuple[Any, ...]:
    if isinstance(kind, inspect.EnumType):
        return tuple(one.value for one in kind.cls)
    return kind.values if isinstance(kind, inspect.LiteralType) else ()


# Reading


def read(kind: Any, value: object) -> Any:
    """Read a value as TOML, JSON and keyword arguments write it.

    Args:
        kind: A Struct, or a union of Structs with tags.
        value: As written.

    Raises:
        SettingError: It is not allowed; begins with the name of the member.
    """
    return _read(_info(kind), value, NO_EXTRA)


def given(kind: type[Struct], value: object) -> dict[str, Any]:
    """Read the members that a table has, by the names of their fields.

    Raises:
        SettingError: One is not allowed, is missing or is none there is.
    """
    return _given(kind, value)


def read_member(
    kind: type[Struct], name: str, value: object, spelt: str | None = None
) -> Any:
    """Read one member by its name.

    Args:
        kind: Whose.
        name: Which.
        value: As written.
        spelt: The member's name where the value was written.

    Raises:
        SettingError: It is not allowed.
    """
    (member,) = (one for one in members(kind) if one.name == name)
    return _read_named(member, spelt or name, value)


def shown(value: object) -> str:
    """Return a value for a complaint, in short."""
    try:
        text = repr(value)
    except RecursionError:
        return "what is nested so deeply"
    except ValueError:  # Python writes no number of so many digits
        return "a number of thousands of digits"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _near(written: object, known: Iterable[str]) -> str:
    """Return what was probably meant, for the end of a complaint; or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - few write what is wrong

    if not isinstance(written, str) or len(written) > MOST_SHOWN:
        return ""
    found = get_close_matches(written, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _given(kind: type[Struct], value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingError(f"{shown(value)} is no table of names and values")
    tag_field, tag = kind.__struct_config__.tag_field, kind.__struct_config__.tag
    rest = {name: one for name, one in value.items() if name != tag_field}
    found: dict[str, Any] = {}
    known = members(kind)
    names = {name for one in known for name in (one.name, *one.also)}
    for name in rest:
        if name not in names:
            said = name[:MOST_SHOWN]
            listed = ", ".join(one for row in known for one in (row.name, *row.also))
            if tag_field is not None:
                near = _near(said, names)
                raise SettingError(f"{said}: {tag} takes {tag_field}, {listed}{near}")
            if not listed:
                raise SettingError(f"{said}: nothing is taken")
            raise SettingError(f"{said} is none of {listed}{_near(said, names)}")
    chosen = [name for name in _one_of(kind) if name in rest]
    if _one_of(kind) and len(chosen) != 1:
        raise SettingError(f"has not one of {', '.join(_one_of(kind))}")
    for member in known:
        written = next((n for n in (member.name, *member.also) if n in rest), None)
        if written is None and member.default is not NODEFAULT:
            continue
        is_text = isinstance(member.kind, inspect.StrType)
        one = ("" if is_text else None) if written is None else rest[written]
        if one is not None or not member.takes_null:
            found[member.field] = _read_named(member, written or member.name, one)
    return found


def _one_of(kind: type[Struct]) -> tuple[str, ...]:
    """Names of members of which there has to be one and only one."""
    found: tuple[str, ...] = getattr(kind, "one_of", ())
    return found


def _read_named(member: Member, name: str, value: object) -> Any:
    kind = member.kind
    is_written_so = "read" not in member.extra
    if (
        is_written_so
        and isinstance(kind, inspect.VarTupleType)
        and _is_table(kind.item_type)
    ):
        return _read_tables(kind, name, value)
    return read_as(name, lambda v: _read(kind, v, member.extra), value)


def _is_table(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.Metadata):
        return "kept" in (kind.extra or {})
    return isinstance(kind, inspect.StructType | inspect.DictType)


def _read_tables(kind: inspect.VarTupleType, name: str, value: object) -> Any:
    """Read what TOML writes as tables in double brackets."""
    if kind.min_length and not value:
        raise SettingError(f"has no [[{name}]]")
    if not isinstance(value, list | tuple):
        raise SettingError(f"{name}: {shown(value)} is no list of [[{name}]] tables")
    if kind.max_length is not None and len(value) > kind.max_length:
        raise SettingError(f"{name}: {len(value)} of them, at most {kind.max_length}")
    return tuple(
        read_as(f"{name} {n}", lambda v: _read(kind.item_type, v, NO_EXTRA), table)
        for n, table in enumerate(value, 1)
    )


def _read(kind: inspect.Type, value: object, extra: Mapping[str, Any]) -> Any:
    if isinstance(kind, inspect.Metadata):
        return _read(kind.type, value, {**(kind.extra or {}), **extra})
    if "read" in extra:
        return extra["read"](value)
    if "kept" in extra:
        read(extra["kept"], value)
        return value
    found = _read_kind(kind, value, extra)
    if "check" in extra:
        extra["check"](found)
    return found


def _read_kind(kind: inspect.Type, value: object, extra: Mapping[str, Any]) -> Any:
    match kind:
        case inspect.BoolType():
            if not isinstance(value, bool):
                raise SettingError(f"{shown(value)} is neither true nor false")
        case inspect.IntType() | inspect.FloatType():
            is_whole = isinstance(kind, inspect.IntType)
            read_one = _read_whole if is_whole else _read_number
            return read_one(value, _limits(kind), extra.get("unit"))
        case inspect.StrType():
            least, most = kind.min_length or 0, kind.max_length
            if not isinstance(value, str) or not least <= len(value) <= (most or 1e9):
                size = "" if most is None else f" of {least} to {most} characters"
                raise SettingError(f"{shown(value)} is no text{size}")
        case inspect.LiteralType() | inspect.EnumType():
            return _read_choice(kind, value)
        case inspect.DictType():
            return _read_dict(kind, value)
        case inspect.StructType():
            return kind.cls(**_given(kind.cls, value))
        case inspect.UnionType():
            return _read_tagged(kind, value)
        case inspect.VarTupleType():
            if not isinstance(value, list | tuple):
                raise SettingError(f"{shown(value)} is no list")
            return tuple(_read(kind.item_type, one, NO_EXTRA) for one in value)
    return value


def read_number(
    name: str,
    value: object,
    limits: tuple[float, float],
    *,
    unit: str | None = None,
) -> float:
    """Read a number that is a member of no Struct.

    Raises:
        SettingError: It is none that is allowed; begins with the name.
    """
    return read_as(name, lambda one: _read_number(one, limits, unit), value)


def _read_number(value: object, limits: tuple[float, float], unit: str | None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SettingError(f"{shown(value)} is no number")
    if not limits[0] <= value <= limits[1]:
        raise SettingError(f"{shown(value)} is outside {_range(limits, unit)}")
    return float(value)


def _read_whole(value: object, limits: tuple[float, float], unit: str | None) -> int:
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and limits[0] <= value <= limits[1]
        and value == int(value)
    ):
        return int(value)
    raise SettingError(f"{shown(value)} is no whole number of {_range(limits, unit)}")


def _range(limits: tuple[float, float], unit: str | None) -> str:
    low, high = limits
    allowed = f"{low:g}..{high:g}" if high < 1e6 else f"{low}..{high}"
    return f"{allowed} {unit}" if unit else allowed


def _read_choice(kind: inspect.Type, value: object) -> Any:
    for one in _choices(kind):
        if one == value and isinstance(one, bool) == isinstance(value, bool):
            return kind.cls(one) if isinstance(kind, inspect.EnumType) else one
    allowed = [str(one) for one in _choices(kind)]
    near = _near(value, allowed)
    raise SettingError(f"{shown(value)} is none of {', '.join(allowed)}{near}")


def _read_dict(kind: inspect.DictType, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingError(f"{shown(value)} is no table of names and values")
    return {
        name: read_as(name, lambda v: _read(kind.value_type, v, NO_EXTRA), one)
        for name, one in value.items()
    }


def _read_tagged(kind: inspect.UnionType, value: object) -> Any:
    if not isinstance(value, Mapping):
        raise SettingError(f"{shown(value)} is no table of names and values")
    structs = [one for one in kind.types if isinstance(one, inspect.StructType)]
    tag_field = str(structs[0].tag_field)
    tag = value.get(tag_field)
    for one in structs:
        if one.tag == tag:
            return one.cls(**_given(one.cls, value))
    known = [str(one.tag) for one in structs]
    said = f"{shown(tag)} is none of {', '.join(known)}{_near(tag, known)}"
    raise SettingError(f"{tag_field}: {said}")


# JSON schema


class Schemas:
    """JSON schemas of Structs; gathers those that others refer to.

    Args:
        prefix: Of references, with the slash.
        is_openapi: Say what OpenAPI has and JSON schema has not; null can be written.
    """

    def __init__(self, prefix: str, *, is_openapi: bool) -> None:
        self.definitions: dict[str, Schema] = {}
        self._kinds: dict[str, type[Struct]] = {}
        self._prefix = prefix
        self._is_openapi = is_openapi

    def of(self, kind: Any, name: str = "") -> Schema:
        """Return the schema of a Struct, a union of Structs with tags, or a kind.

        Args:
            kind: Which.
            name: Of what has none itself; it is referred to by it then.
        """
        schema = self._of(_info(kind), NO_EXTRA)
        if not name:
            return schema
        self.definitions[name] = schema
        return {"$ref": f"{self._prefix}{name}"}

    def _of(self, kind: inspect.Type, extra: Mapping[str, Any]) -> Schema:
        if "kept" in extra:
            return self.of(extra["kept"])
        if "schema" in extra:
            return dict(extra["schema"])
        match kind:
            case inspect.Metadata():
                inner = self._of(kind.type, {**(kind.extra or {}), **extra})
                return inner | (kind.extra_json_schema or {})
            case inspect.DictType():
                values = self._of(kind.value_type, NO_EXTRA)
                return {"type": "object", "additionalProperties": values or True}
            case inspect.VarTupleType():
                items = self._of(kind.item_type, NO_EXTRA)
                return {"type": "array", "items": items} | _filled(
                    minItems=kind.min_length, maxItems=kind.max_length
                )
            case inspect.StructType():
                return self._ref(kind.cls)
            case inspect.UnionType():
                return self._of_union(kind)
        return _of_scalar(kind)

    def _of_union(self, kind: inspect.UnionType) -> Schema:
        tagged = [one for one in kind.types if isinstance(one, inspect.StructType)]
        if len(tagged) < len(kind.types) or tagged[0].tag_field is None:
            return {"anyOf": [self._of(one, NO_EXTRA) for one in kind.types]}
        refs = [self._ref(one.cls) for one in tagged]
        if not self._is_openapi:
            return {"oneOf": refs}
        mapping = {
            str(one.tag): ref["$ref"] for one, ref in zip(tagged, refs, strict=True)
        }
        told = {"propertyName": tagged[0].tag_field, "mapping": mapping}
        return {"oneOf": refs, "discriminator": told}

    def _ref(self, kind: type[Struct]) -> Schema:
        name = kind.__name__
        if self._kinds.setdefault(name, kind) is not kind:
            raise ValueError(f"two Structs are called {name}")
        if name not in self.definitions:
            self.definitions[name] = {}  # has its place before those in it
            self.definitions[name] = self.table(kind)
        return {"$ref": f"{self._prefix}{name}"}

    def table(self, kind: type[Struct]) -> Schema:
        """Return the schema of a Struct itself."""
        config = kind.__struct_config__
        properties: dict[str, Schema] = {}
        required = []
        if config.tag_field is not None:
            properties[config.tag_field] = _of_choices((config.tag,))
            required.append(config.tag_field)
        for member in members(kind):
            properties[member.name] = self.of_member(member)
            for name in member.also:
                same = {"description": f"The same as {member.name}."}
                properties[name] = self._of(member.kind, member.extra) | same
            if member.default is NODEFAULT:
                required.append(member.name)
        found: Schema = {"type": "object", "properties": properties}
        if kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("):
            found["description"] = cleandoc(kind.__doc__)
        if required:
            found["required"] = required
        if config.forbid_unknown_fields:
            found["additionalProperties"] = False
        if _one_of(kind) and self._is_openapi:  # generators lose members by oneOf
            found["minProperties"] = 1
        elif _one_of(kind):
            found["oneOf"] = [{"required": [name]} for name in _one_of(kind)]
        return found

    def of_member(self, member: Member) -> Schema:
        """Return the schema of one member."""
        schema = self._of(member.kind, member.extra) | dict(member.told)
        schema.pop("description", None)
        if member.takes_null and (self._is_openapi or member.default is NODEFAULT):
            schema = {"anyOf": [schema, {"type": "null"}]}
        words = [member.help] if member.help else []
        if member.unit:
            words.append(f"In {member.unit}.")
        if words:
            schema = {**schema, "description": " ".join(words)}
        if _is_told(member) and member.default in schema.get("enum", [member.default]):
            schema = {**schema, "default": to_builtins(member.default)}
        return schema


def _is_told(member: Member) -> bool:
    """True for a default that says something."""
    default = member.default
    if isinstance(default, float):
        return isfinite(default) and "schema" not in member.extra
    return isinstance(default, bool | int) or bool(isinstance(default, str) and default)


def _of_scalar(kind: inspect.Type) -> Schema:
    match kind:
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType() | inspect.FloatType():
            name = "integer" if isinstance(kind, inspect.IntType) else "number"
            return {"type": name} | _filled(minimum=kind.ge, maximum=kind.le)
        case inspect.StrType():
            return {"type": "string"} | _filled(
                minLength=kind.min_length,
                maxLength=kind.max_length,
                pattern=kind.pattern,
            )
        case inspect.LiteralType() | inspect.EnumType():
            return _of_choices(_choices(kind))
        case inspect.NoneType():
            return {"type": "null"}
    return {}


def _filled(**members: Any) -> Schema:
    return {name: value for name, value in members.items() if value is not None}


def _of_choices(choices: Iterable[Any]) -> Schema:
    values = list(choices)
    kinds = {bool: "boolean", int: "integer", str: "string"}
    return {"type": kinds[type(values[0])], "enum": values}
