"""Reads every import: the directions of docs/architecture.md, and purity."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "softaxe"

LAYERS = {
    "errors": 0,
    "units": 0,
    "log_limit": 1,
    "catalog": 1,
    "bitcoin": 2,
    "stratum": 3,
    "asic": 3,
    "board": 3,
    "flash": 3,
    "device": 4,
    "api": 5,
    "description": 1,
    "effects": 5,
    "faults": 6,
    "simulation": 5,
    "screen": 5,
    "client": 6,
    "scenario": 6,
    "serve": 7,
    "fleet": 8,
    "control": 9,
    "recordings": 10,
    "metal": 10,
    "testing": 11,
    "cli": 12,
    "__main__": 13,
    "__init__": 13,
}
IMPURE = {
    "asyncio",
    "datetime",
    "io",
    "logging",
    "os",
    "pathlib",
    "platform",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uuid",
}
DOCUMENTATION_WRITER = SOURCE / "api" / "docs.py"
CLIENT = SOURCE / "client.py"
"""Talks to devices and waits only so long."""
PURE_RECORDINGS = {SOURCE / "recordings" / name for name in ("record.py", "clone.py")}
"""The half of the room that knows no device on a network."""


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def layer_name(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    here = layer_name(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "softaxe" or len(parts) == 1 or parts[1] not in LAYERS:
            continue
        there = parts[1]
        assert there == here or LAYERS[there] < LAYERS[here], f"{here} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_everything_left_of_the_rooms_is_pure(path: Path) -> None:
    is_room = LAYERS[layer_name(path)] >= LAYERS["serve"]
    is_pure_half = path in PURE_RECORDINGS
    if path in {DOCUMENTATION_WRITER, CLIENT} or (is_room and not is_pure_half):
        return
    used = {name.split(".")[0] for name in imports(path)}
    assert not used & IMPURE, f"{path.name} imports {used & IMPURE}"


def test_every_module_has_a_place_in_the_layers() -> None:
    assert {layer_name(path) for path in modules()} <= set(LAYERS)
