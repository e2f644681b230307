import resource
from itertools import islice
from pathlib import Path

import pytest
from tests.each import each

import softaxe
from softaxe.errors import SettingError
from softaxe.fleet import addresses
from softaxe.fleet.addresses import AddressPlan


def places(plan: AddressPlan, count: int) -> list[tuple[str, int]]:
    return list(islice(plan.places(()), count))


def test_every_device_has_an_address_that_scanners_look_at() -> None:
    found = places(AddressPlan("127.0.0.2", 80), 600)

    assert found[:2] == [("127.0.0.2", 80), ("127.0.0.3", 80)]
    assert found[252:254] == [("127.0.0.254", 80), ("127.0.1.1", 80)]
    assert len(set(found)) == 600


def test_or_one_address_with_ports() -> None:
    assert places(AddressPlan("127.0.0.1", 8080, 9000), 2) == [
        ("127.0.0.1", 9000),
        ("127.0.0.1", 9001),
    ]


def test_no_port_means_free_ones() -> None:
    for plan in (AddressPlan("127.0.0.1", 0), AddressPlan("127.0.0.1", 80, 0)):
        assert places(plan, 3) == [("127.0.0.1", 0)] * 3


def test_a_gap_is_filled() -> None:
    plan, taken = AddressPlan("127.0.0.2", 80), {("127.0.0.2", 80), ("127.0.0.4", 80)}

    assert next(plan.places(taken)) == ("127.0.0.3", 80)


@each(
    ("plan", "complaint"),
    [
        (AddressPlan("127.255.255.254", 80), "127.255.255.254 leaves too few"),
        (AddressPlan("localhost", 80), "localhost has no next address"),
        (AddressPlan("::1", 80), "::1 has no next address"),
        (AddressPlan("127.0.0.1", 80, 65535), "65535 leaves too few ports"),
    ],
)
def test_when_there_is_no_room_it_says_so(plan: AddressPlan, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        places(plan, 2)


def test_too_few_files_are_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_which: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (100, 100))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    with pytest.raises(SettingError, match="1000 devices need 6256 open files"):
        addresses.allow_open_files(1000)


def test_a_fleet_with_too_few_files_for_its_clients_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (295, 295))

    def refuse(_which: int, limits: tuple[int, int]) -> None:
        if limits != (295, 295):
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)

    with softaxe.running(count=10, state=tmp_path, speed=0, warm_up_s=0) as fleet:
        assert len(fleet) == 10
        fleet.add()

    told = capfd.readouterr().err
    assert told == (
        "softaxe: 10 devices have room for 9 clients together, as this system allows "
        "a process 295 open files; raise it (ulimit -n), or spread them with "
        "--workers\n"
    )


def test_as_many_files_are_taken_as_miners_of_others_may_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 20_000))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, new: taken.append(new))

    addresses.allow_open_files(0)

    assert taken == [(20_000, 20_000)]


def test_a_kernel_that_gives_no_process_so_many_files_gives_what_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[tuple[int, int]] = []
    endless = resource.RLIM_INFINITY

    def grant(_which: int, new: tuple[int, int]) -> None:
        if new[0] > 10_240:
            raise ValueError("current limit exceeds maximum limit")
        taken.append(new)

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, endless))
    monkeypatch.setattr(resource, "setrlimit", grant)

    addresses.allow_open_files(100)

    assert taken == [(856, endless)]
