import re

import pytest

from softaxe import errors
from softaxe.errors import SettingError, SoftaxeError, read_as


def test_the_tree_shows_every_error_where_it_is() -> None:
    assert errors.__doc__ is not None
    branches: list[str] = []
    shown: dict[str, tuple[str, ...]] = {}
    for line in errors.__doc__.splitlines():
        if found := re.match(r"([│├└─ ]*)(\w+)(?: \((\w+)\))?(?:   |$)", line):
            stem, name, other = found.groups()
            branches[len(stem) // 4 :] = [name]
            shown[name] = tuple(filter(None, [*branches[-2:-1], other]))

    classes = [one for one in vars(errors).values() if isinstance(one, type)]
    ours = [one for one in classes if one.__module__ == errors.__name__]
    assert shown.pop("SoftaxeError") == ()
    assert shown == {
        one.__name__: tuple(base.__name__ for base in one.__bases__)
        for one in ours
        if one is not SoftaxeError
    }


def test_a_complaint_begins_with_the_name_of_its_value() -> None:
    def read(value: object) -> int:
        if value != 5:
            raise SettingError(f"{value!r} is not 5")
        return 5

    assert read_as("speed", read, 5) == 5
    with pytest.raises(SettingError, match=r"^group 1: speed: 4 is not 5$"):
        read_as("group 1", lambda value: read_as("speed", read, value), 4)


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError, match=r"^integer division"):
        read_as("speed", lambda value: 1 // value, 0)
