import pytest
from tests.each import each

from softaxe.control import changes
from softaxe.control.changes import Changes, Row


def one(device_id: str, **members: object) -> Row:
    return {"id": device_id, "state": "mining", **members}


def test_who_looks_again_is_told_what_is_new_and_no_more() -> None:
    looks = Changes()
    first = looks.take([one("a", temp=50.0), one("b", temp=51.0)], "0")
    second = looks.take([one("a", temp=50.5), one("b", temp=51.0)], first["revision"])
    third = looks.take([one("a", temp=50.5), one("b", temp=51.0)], second["revision"])

    assert first["since"] is None
    assert first["devices"] == [one("a", temp=50.0), one("b", temp=51.0)]
    assert second["since"] == first["revision"]
    assert second["devices"] == [{"id": "a", "temp": 50.5}]
    assert third["devices"] == third["removed"] == []


def test_clients_with_other_fields_and_older_looks_miss_nothing() -> None:
    looks = Changes()
    slow = looks.take([one("a", temp=50.0, power=17.0)], "0")["revision"]
    quick = looks.take([{"id": "a", "temp": 51.0}], "0")["revision"]
    quick = looks.take([{"id": "a", "temp": 52.0}], quick)["revision"]

    told = looks.take([one("a", temp=52.0, power=17.5)], slow)

    assert told["devices"] == [{"id": "a", "temp": 52.0, "power": 17.5}]
    assert looks.take([{"id": "a", "temp": 52.0}], quick)["devices"] == []


def test_devices_come_and_go() -> None:
    looks = Changes()
    first = looks.take([one("a"), one("b")], "0")["revision"]
    second = looks.take([one("b"), one("c")], first)
    third = looks.take([one("a"), one("b"), one("c")], second["revision"])

    assert (second["devices"], second["removed"]) == ([one("c")], ["a"])
    assert (third["devices"], third["removed"]) == ([one("a")], [])
    assert looks.take([one("a"), one("b"), one("c")], first)["removed"] == []


@each("since", ["", "0", "nonsense", "00000000-1", "-1", "x-²"])
def test_a_revision_that_is_not_known_is_answered_with_all(since: str) -> None:
    looks = Changes()
    looks.take([one("a")], "0")
    told = looks.take([one("a")], since)

    assert (told["since"], told["devices"], told["removed"]) == (None, [one("a")], [])


def test_a_revision_that_is_yet_to_come_is_answered_with_all() -> None:
    looks = Changes()
    process, _, number = looks.take([one("a")], "0")["revision"].partition("-")

    assert looks.take([one("a")], f"{process}-{int(number) + 9}")["since"] is None
    assert Changes().take([one("a")], f"{process}-{number}")["since"] is None


def test_only_so_many_are_remembered_as_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "MOST_REMOVED", 2)
    looks = Changes()
    first = looks.take([one(name) for name in "abcd"], "0")["revision"]
    second = looks.take([one(name) for name in "bcd"], first)["revision"]
    looks.take([one("d")], second)

    assert looks.take([one("d")], first)["since"] is None, "a is forgotten"
    told = looks.take([one("d")], second)
    assert sorted(told["removed"]) == ["b", "c"]
