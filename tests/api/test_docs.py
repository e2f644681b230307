from pathlib import Path

from softaxe.api import docs
from softaxe.api.schema import info_fields
from softaxe.catalog.firmware import firmware
from softaxe.device.profile import DOCUMENTED, ROWS
from softaxe.device.settings import rules

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
    for row in info_fields(firmware()):
        assert f"| `{row.name}` |" in page
    for name in ROWS:
        assert f"| `{name}` |" in docs.fidelity_table()


def test_no_secret_default_is_documented() -> None:
    assert "softaxe-wifi" not in docs.api_page()
