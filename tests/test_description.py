from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

import jsonschema_rs
import pytest
from msgspec import Struct, field
from tests.each import each

from softaxe.description import (
    MOST_SHOWN,
    Schemas,
    about,
    given,
    members,
    read,
    read_member,
)
from softaxe.errors import SettingError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def even(value: int) -> None:
    if value % 2:
        raise SettingError(f"{value} is odd")


class Wheel(Struct, forbid_unknown_fields=True):
    """What a cart rolls on."""

    spokes: Annotated[int, about("How many.", within=(3, 40))]
    size_mm: Annotated[float, about(within=(1, 900), unit="mm")] = field(
        default=300.0, name="size"
    )


class Made(Struct, forbid_unknown_fields=True):
    """Where something is from."""

    maker: Annotated[str, about(length=(1, 5), also=("by",))] = "us"


class Cart(Made, kw_only=True):
    """Something with wheels."""

    one_of: ClassVar[tuple[str, ...]] = ("horse", "motor")
    wheel: Annotated[tuple[Wheel, ...], about(length=(1, 9))]
    horse: str | None = None
    motor: str | None = None
    colour: Colour = Colour.RED
    kind: Literal["z", "a"] = "z"
    load: Annotated[int, about(within=(0, 10), check=even)] = 0
    extras: dict[str, Annotated[float, about(within=(0, 1))]] = field(
        default_factory=dict
    )
    is_new: bool = field(default=True, name="new")
    number: Annotated[int, about(inner=True)] = 7


class Animal(Struct, kw_only=True, tag_field="is", forbid_unknown_fields=True):
    takes_null: ClassVar[bool] = True
    age: Annotated[float, about(within=(0, 99))] = 1.0


class Cat(Animal, tag="cat"):
    """It purrs."""

    lives: Annotated[int, about(within=(1, 9))] = 9


class Dog(Animal, tag="dog"):
    """It barks."""


CART = {"horse": "Bob", "wheel": [{"spokes": 8}, {"spokes": 9, "size": 5}]}


def test_a_table_becomes_what_it_describes() -> None:
    found: Cart = read(Cart, {**CART, "by": "them", "colour": "blue", "new": False})

    assert (found.horse, found.motor, found.maker) == ("Bob", None, "them")
    assert found.wheel == (Wheel(8), Wheel(9, 5.0))
    assert found.colour is Colour.BLUE
    assert (found.is_new, found.number) == (False, 7)
    assert given(Cart, CART).keys() == {"horse", "wheel"}
    assert read(Cat | Dog, {"is": "cat", "lives": 3}) == Cat(lives=3)
    assert read(Cat, {"age": None}) == Cat(), "null is as good as nothing"
    assert read(Wheel, {"spokes": 4.0}).spokes == 4
    assert read_member(Wheel, "size", 2) == 2.0


@each(
    ("change", "complaint"),
    [
        ({"wheel": []}, "has no [[wheel]]"),
        ({"wheel": [{}] * 10}, "wheel: 10 of them, at most 9"),
        ({"wheel": 5}, "wheel: 5 is no list of [[wheel]] tables"),
        ({"wheel": [{"spokes": 3}, 1]}, "wheel 2: 1 is no table of names and values"),
        ({"wheel": [{}]}, "wheel 1: spokes: None is no whole number of 3..40"),
        ({"wheel": [{"spokes": 2.5}]}, "spokes: 2.5 is no whole number of 3..40"),
        ({"wheel": [{"spokes": True}]}, "spokes: True is no whole number"),
        ({"wheel": [{"spokes": 3, "size": 0}]}, "size: 0 is outside 1..900 mm"),
        ({"wheel": [{"spokes": 3, "size": "x"}]}, "size: 'x' is no number"),
        ({"wheel": [{"spokes": 3, "size": float("nan")}]}, "size: nan is outside"),
        ({"colour": "pink"}, "colour: 'pink' is none of red, blue"),
        ({"kind": ["z"]}, "kind: ['z'] is none of z, a"),
        ({"load": 3}, "load: 3 is odd"),
        ({"extras": 1}, "extras: 1 is no table of names and values"),
        ({"extras": {"a": 2}}, "extras: a: 2 is outside 0..1"),
        ({"new": 1}, "new: 1 is neither true nor false"),
        ({"by": "somebody"}, "by: 'somebody' is no text of 1 to 5 characters"),
        ({"motor": "x"}, "has not one of horse, motor"),
        ({"number": 1}, "number is none of wheel, horse, motor, colour, kind, load"),
        ({"wheels": 1}, "; did you mean wheel?"),
        ({"colour": "bleu"}, "'bleu' is none of red, blue; did you mean blue?"),
        ({"horse": 5}, "horse: 5 is no text"),
    ],
)
def test_a_complaint_names_member_value_and_what_is_allowed(
    change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SettingError) as caught:
        read(Cart, {**CART, **change})

    assert complaint in str(caught.value)
    schemas = Schemas("#/definitions/", is_openapi=False)
    whole = {**schemas.table(Cart), "definitions": schemas.definitions}
    judge = jsonschema_rs.validator_for(whole)
    assert judge.is_valid(CART)
    assert judge.is_valid({**CART, **change}) is ("odd" in complaint)


@each(
    ("value", "complaint"),
    [
        (5, "5 is no table"),
        ({}, "is: None is none of cat, dog"),
        ({"is": "cow"}, "is: 'cow' is none of cat, dog"),
        ({"is": "cats"}, "; did you mean cat?"),
        ({"is": "cat", "live": 1}, "; did you mean lives?"),
        ({"is": "dog", "lives": 1}, "lives: dog takes is, age"),
        ({"is": "cat", "age": 100}, "age: 100 is outside 0..99"),
    ],
)
def test_a_tag_says_what_a_table_is(value: object, complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        read(Cat | Dog, value)

    assert complaint in str(caught.value)


def test_complaints_are_short_whatever_is_written() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    for value in ("x" * 10_000, deep):
        with pytest.raises(SettingError) as caught:
            read(Cat, {"lives": value})
        assert len(str(caught.value)) < MOST_SHOWN + 100


def test_own_members_stand_before_those_of_all() -> None:
    assert [one.name for one in members(Cat)] == ["lives", "age"]
    assert [one.name for one in members(Cart)][-1] == "maker"
    spokes, size = members(Wheel)
    assert (spokes.help, spokes.limits) == ("How many.", (3, 40))
    assert (size.name, size.field, size.unit) == ("size", "size_mm", "mm")


def test_a_schema_says_what_is_read() -> None:
    schemas = Schemas("#/", is_openapi=True)

    schema = schemas.of(Cat | Dog, "Pet")

    assert schema == {"$ref": "#/Pet"}
    assert schemas.definitions["Pet"] == {
        "oneOf": [{"$ref": "#/Cat"}, {"$ref": "#/Dog"}],
        "discriminator": {
            "propertyName": "is",
            "mapping": {"cat": "#/Cat", "dog": "#/Dog"},
        },
    }
    assert schemas.definitions["Cat"] == {
        "type": "object",
        "description": "It purrs.",
        "properties": {
            "is": {"type": "string", "enum": ["cat"]},
            "lives": {
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": 9},
                    {"type": "null"},
                ],
                "default": 9,
            },
            "age": {
                "anyOf": [
                    {"type": "number", "minimum": 0, "maximum": 99},
                    {"type": "null"},
                ],
                "default": 1.0,
            },
        },
        "required": ["is"],
        "additionalProperties": False,
    }
    cart = schemas.table(Cart)["properties"]
    assert cart["kind"] == {"type": "string", "enum": ["z", "a"], "default": "z"}
    assert cart["by"]["description"] == "The same as maker."
    wheel = schemas.definitions["Wheel"]["properties"]
    assert wheel["size"]["description"] == "In mm."
    assert "number" not in cart
