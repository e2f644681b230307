from softaxe.control.api import Control
from softaxe.control.operations import OPERATIONS, TAGS


def test_each_is_answered_by_a_method_of_its_name() -> None:
    names = [row.name for row in OPERATIONS]

    assert len(set(names)) == len(names)
    answering = {name for name in vars(Control) if not name.startswith("_")}
    assert answering == set(names)


def test_each_belongs_to_the_part_that_its_path_names() -> None:
    parts = {row.path: row.tag for row in OPERATIONS}

    assert parts["/control/devices/{id}/restart"] == "devices"
    assert parts["/control/clock/advances/{advance}"] == "clock"
    assert parts["/control/history"] == parts["/metrics"] == "fleet"
    assert set(parts.values()) == set(TAGS)


def test_no_get_takes_a_body() -> None:
    assert [
        row.name for row in OPERATIONS if row.method == "GET" and row.body is not None
    ] == []
