"""The pages lead where they say, and their examples work as they are written."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """What lays out the documentation site."""
    spec = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_links_and_anchors_lead_somewhere(pages: ModuleType) -> None:
    found = {source: list(pages.broken(source)) for source in pages.sources()}

    assert {source: links for source, links in found.items() if links} == {}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(pages.links(readme)) > 20


def test_a_link_into_nothing_is_found(
    pages: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    page = "# A page\n[a](b.md) [b](#nowhere) [c](#a-page) `[d](e.md)` [f](https://g)\n"
    (tmp_path / "a.md").write_text(f"{page}```\n[h](i.md)\n```\n", encoding="utf-8")

    assert list(pages.broken("a.md")) == ["b.md", "#nowhere"]


def test_the_site_has_every_page(pages: ModuleType) -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    places = {
        pages.PLACES.get(one, one.removeprefix("docs/")) for one in pages.sources()
    }

    assert (
        sorted(one for one in places | set(pages.MADE) if f": {one}\n" not in text)
        == []
    )


def test_links_lead_on_the_site_to_its_pages_and_else_to_the_source(
    pages: ModuleType,
) -> None:
    text = "[a](../README.md#any-firmware) [b](fleet.md) [c](../examples/tuner.py)"

    assert pages.with_links(text, "docs/testing.md") == (
        "[a](index.md#any-firmware) [b](fleet.md) "
        f"[c]({pages.SOURCE}/blob/main/examples/tuner.py)"
    )
    assert pages.with_links("[a](docs/fleet.md)", "README.md") == "[a](fleet.md)"
    assert pages.with_links("[docs/fleet.md](docs/fleet.md#control)", "README.md") == (
        "[Fleets](fleet.md#control)"
    )
    assert pages.with_links("[a](../faults.md#x)", "docs/start/owner.md") == (
        "[a](../faults.md#x)"
    )


def test_the_reference_has_every_command_operation_and_name(pages: ModuleType) -> None:
    from softaxe.control.operations import OPERATIONS  # noqa: PLC0415

    cli, control, python = (made() for made in pages.MADE.values())

    assert "## softaxe run\n" in cli
    assert "| `--count" in cli
    for one in OPERATIONS:
        assert f"### {one.method} {one.path}\n" in control
    assert "heading: softaxe.running\n" in python
