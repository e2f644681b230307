"""Every device of a divided fleet keeps its seed, board and address."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.each import each

from softaxe.errors import SettingError
from softaxe.fleet.groups import Group, member_options
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.parts.division import divided, in_words, without
from softaxe.serve.member import MemberOptions

OPTIONS = FleetOptions(
    state=Path(),
    groups=(
        Group(name="a", count=5, boards=("601", "602")),
        Group(name="b", count=4, boards=("402",), seed=100),
        Group(name="c", count=1),
    ),
    port=80,
    seed=1,
)


def made(options: FleetOptions) -> list[MemberOptions]:
    return [
        one
        for group in options.groups
        for one in member_options(group, pool_rows={}, seed=options.seed or 0)
    ]


def ids(options: FleetOptions) -> list[str]:
    return [one.id for one in made(options)]


@each("count", [1, 2, 3, 10])
def test_every_device_keeps_its_seed_board_and_address(count: int) -> None:
    (whole,) = divided(OPTIONS, 1)
    parts = divided(OPTIONS, count)

    assert ids(whole)[:6] == ["601-1", "602-2", "601-3", "602-4", "601-5", "402-6"]
    assert [id_ for part in parts for id_ in ids(part)] == ids(whole)
    seeds = [one.seed for part in parts for one in made(part)]
    assert seeds == [one.seed for one in made(whole)]
    assert (seeds[0], seeds[5]) == (1, 100)
    sizes = [len(ids(part)) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    hosts = [part.host for part in parts]
    starts = [2 + sum(sizes[:number]) for number in range(count)]
    assert hosts == [f"127.0.0.{start}" for start in starts]
    assert len({part.pool_port for part in parts}) == count
    assert {part.cpu_percent for part in parts} == {OPTIONS.cpu_percent}


def test_parts_may_have_ports_of_one_address() -> None:
    first, second = divided(replace(OPTIONS, port_base=9000), 2)

    assert (first.port_base, second.port_base) == (9000, 9005)
    assert first.host == second.host == "127.0.0.1"


@pytest.mark.parametrize("count", [0, 11])
def test_more_parts_than_devices_are_refused(count: int) -> None:
    with pytest.raises(
        SettingError, match=f"--workers: {count} is outside 1..10 for 10 devices"
    ):
        divided(OPTIONS, count)


def test_a_part_is_named_by_its_first_device_and_its_last() -> None:
    (whole,) = divided(OPTIONS, 1)
    parts = divided(OPTIONS, 10)

    assert in_words(whole.groups) == "601-1 to 601-10"
    assert in_words(parts[5].groups) == "402-6"
    assert in_words(()) == ""


@each("number", range(1, 11))
def test_the_others_stay_what_they_are_without_one(number: int) -> None:
    (whole,) = divided(OPTIONS, 1)

    left = replace(whole, groups=without(whole.groups, number))

    assert made(left) == [one for one in made(whole) if one.number != number]
