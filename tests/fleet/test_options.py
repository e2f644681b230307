from pathlib import Path

import pytest
from tests.each import each

from softaxe.errors import SettingError
from softaxe.fleet.options import FleetOptions, read_fleet_file

FILE = """
seed = 7
speed = 2
board = "602"
pool_dialect = "public-pool"
pool_job_version = 0x30000000
pool_share_version = "or"
[[group]]
name = "a"
count = 2
[[group]]
name = "b"
board = "hex"
[[fault]]
effect = "fan_dead"
group = "b"
"""


def test_a_fleet_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(FILE)

    options = read_fleet_file(path, FleetOptions(state=tmp_path, speed=9), {"seed"})

    assert options.seed == 0, "given otherwise"
    assert options.speed == 2
    assert options.pool_dialect == "public-pool"
    assert options.pool_job_version == 0x30000000
    assert options.pool_share_version == "or"
    assert [(g.name, g.count, g.boards) for g in options.groups] == [
        ("a", 2, ("602",)),
        ("b", 1, ("hex",)),
    ]
    assert options.faults == ({"effect": "fan_dead", "group": "b"},)
    options.check()


@pytest.mark.parametrize("written", ['"a.example"', '["a.example"]'])
def test_one_name_needs_no_list(tmp_path: Path, written: str) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(f"allow_host = {written}\n[[group]]")

    options = read_fleet_file(path, FleetOptions(state=tmp_path))

    assert options.allow_host == ("a.example",)


@pytest.mark.parametrize("name", ["board", "boards"])
@pytest.mark.parametrize("shared", ['boards = ["601", "602"]', 'board = "601"'])
def test_a_groups_own_board_goes_before_those_of_all(
    tmp_path: Path, name: str, shared: str
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(f'{shared}\n[[group]]\n{name} = "204"\ncount = 2')

    options = read_fleet_file(path, FleetOptions(state=tmp_path))

    assert options.groups[0].boards == ("204",)


@each(
    ("text", "complaint"),
    [
        ("", "has no [[group]]"),
        ("x = [", "Invalid value"),
        ("colour = 1\n[[group]]", "colour is none of seed, speed"),
        ("seed = 'x'\n[[group]]", "seed: 'x' is no whole number"),
        ("seed = -1\n[[group]]", "seed: -1 is no whole number of 0..16777215"),
        ("seed = 16777216\n[[group]]", "seed: 16777216 is no whole number"),
        (
            "[[group]]\nseed = 5\n[[group]]\nname = 'b'\nseed = 5",
            "seed: 5 of group b is that of a device in devices",
        ),
        ("speed = 0\n[[group]]", "speed: 0 is outside 0.01..10000"),
        ("speed = nan\n[[group]]", "speed: nan is outside 0.01..10000"),
        ("port = 99999\n[[group]]", "port: 99999 is no whole number of 0..65535"),
        ("port_base = -1\n[[group]]", "port_base: -1 is no whole number of 0..65535"),
        ("cpu_percent = 0\n[[group]]", "cpu_percent: 0 is no whole number of 1..6400"),
        ("control = 'x'\n[[group]]", "control: 'x' is neither HOST:PORT nor none"),
        ("allow_host = 1\n[[group]]", "allow_host: 1 is neither a name nor a list"),
        ("allow_host = ['a:1']\n[[group]]", "allow_host: 'a:1' is no host name"),
        (
            "allow_network = '100.64.0.1/10'\n[[group]]",
            "allow_network: '100.64.0.1/10' is no network, as 100.64.0.0/10",
        ),
        ("pool_host = '::'\n[[group]]", "pool_host: :: is of IPv6 alone"),
        ("allow_network = [7]\n[[group]]", "allow_network: 7 is no network"),
        ("advertise = 'a:80'\n[[group]]", "advertise: 'a:80' is neither a host name"),
        ("advertise = '0.0.0.0'\n[[group]]", "advertise: '0.0.0.0' is neither"),
        (
            "advertise = 'a'\n[[group]]\ncount = 2",
            "advertise: a cannot be the one address of devices that have their own",
        ),
        (
            "host = '0.0.0.0'\n[[group]]\ncount = 2",
            "host: 0.0.0.0 is all addresses of this machine",
        ),
        (
            "pool_dialect = 'x'\n[[group]]",
            "pool_dialect: 'x' is none of softaxe, publi",
        ),
        ("pool_share_version = 'x'\n[[group]]", "pool_share_version: 'x' is none of x"),
        (
            "pool_job_version = -1\n[[group]]",
            "pool_job_version: -1 is no whole number of 0..4294967295",
        ),
        ("fault = 'x'\n[[group]]", "fault: 'x' is no list"),
        ("fault = [1]\n[[group]]", "fault 1: 1 is no table"),
        ("[[group]]\n[[fault]]\neffect = 'x'", "fault 1: effect: 'x' is none of"),
        (
            "[[group]]\nname = 'a'\nsettings = { frequency = 0 }",
            "group a: frequency: 0",
        ),
        (
            "[[group]]\nspread = { ambient = 1000 }",
            "group 1: spread: ambient: 1000 leads to -975",
        ),
        ("[[group]]\nname='a'\n[[group]]\nname='a'", "two groups are called 'a'"),
        ("[[group]]\ncount = -1", "group 1: count: -1 is no whole number"),
    ],
)
def test_a_bad_file_is_told_with_its_place(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(text)

    with pytest.raises(SettingError) as caught:
        read_fleet_file(path, FleetOptions(state=tmp_path))

    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
