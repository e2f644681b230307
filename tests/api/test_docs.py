from pathlib import Path

from softaxe.api import docs
from softaxe.api.schema import info_fields
from softaxe.catalog.firmware import firmware, versions
from softaxe.catalog.firmware.rows import ROWS as VERSION_ROWS
from softaxe.device.profile import DOCUMENTED, ROWS
from softaxe.device.setting_rules import rules

DOCS = Path(__file__).parents[2] / "docs"


def test_the_api_page_is_up_to_date() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")

    assert page == docs.api_page(), "run `make docs`"


def test_the_fidelity_table_is_up_to_date() -> None:
    page = (DOCS / "fidelity.md").read_text(encoding="utf-8")

    assert page == docs.with_fidelity_table(page), "run `make docs`"


def test_every_setting_member_and_difference_is_documented() -> None:
    page = docs.api_page()

    for rule in rules(firmware(), DOCUMENTED).values():
        assert not rule.names or f"| `{rule.names[0]}` |" in page
    for version in versions():
        for row in info_fields(firmware(version)):
            assert f"| `{row.name}` |" in page
        for key in firmware(version).settings:
            assert f"| `{key}` |" in page
    fidelity, of_versions = docs.fidelity_table(), docs.versions_table()
    for name in ROWS:
        assert f"| `{name}` |" in fidelity
    for name in VERSION_ROWS:
        assert f"| `{name}` |" in of_versions


def test_no_secret_default_is_documented() -> None:
    assert "softaxe-wifi" not in docs.api_page()


def test_a_row_of_versions_tells_where_a_value_changes() -> None:
    def cells(name: str) -> str:
        (row,) = [
            line
            for line in docs.versions_table().splitlines()
            if line.startswith(f"| `{name}` |")
        ]
        return row

    layout, mark = cells("json_layout"), cells("log_mark")
    assert layout.endswith("| `formatted` | = | = | = | = | = | = | `compact` | = |")
    assert mark.endswith("| = | 50 invisible characters from 2.14.2 | = |")
