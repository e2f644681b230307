"""Reads every import: the directions of docs/architecture.md, purity, and libraries."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.unwatched

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "softaxe"

LAYERS = {
    "errors": 0,
    "units": 0,
    "description": 1,
    "log_limit": 1,
    "catalog": 1,
    "json_values": 1,
    "cjson": 2,
    "bending": 3,
    "bitcoin": 2,
    "stratum": 3,
    "asic": 3,
    "board": 3,
    "flash": 3,
    "device": 4,
    "api": 5,
    "screen": 5,
    "simulation": 5,
    "effects": 5,
    "expected": 5,
    "faults": 6,
    "scenario": 6,
    "client": 6,
    "warp": 7,
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
"""Who may know whom: those below. Rooms on one floor do not see each other."""
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
PURE_RECORDINGS = {SOURCE / "recordings" / name for name in ("record.py", "clone.py")}
"""The half of the room that knows no device on a network."""
IMPURE_METAL = {
    SOURCE / "metal" / f"{name}.py"
    for name in (
        *("guard", "host", "ports", "probe"),
        *("serial_chain", "terminal", "usb_board"),
    )
}
"""What has to do with ports and processes; the rest of the room is pure."""
LIBRARY_OF = {"PIL": "pillow"}
"""Where the name of a library is not that of its package."""


@cache
def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def layer_name(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    parts = ("softaxe", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def imports(path: Path) -> tuple[str, ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# One test for all modules: hundreds take longer to be dealt out than to be run.
def test_imports_go_one_way() -> None:
    assert [
        f"{dotted(path)} imports {name}"
        for path in modules()
        for name in imports(path)
        if not _is_below(path, name)
    ] == []


def _is_below(path: Path, name: str) -> bool:
    here = layer_name(path)
    floor = LAYERS["serve" if path in PURE_RECORDINGS else here]
    parts = name.split(".")
    if parts[0] != "softaxe" or len(parts) == 1 or parts[1] not in LAYERS:
        return True
    return parts[1] == here or LAYERS[parts[1]] < floor


def test_there_is_no_circle() -> None:
    names = {dotted(path) for path in modules()}

    def module_of(name: str) -> str:
        while name not in names:
            name = name.rpartition(".")[0]
        return name

    needs = {
        dotted(path): {
            module_of(name) for name in imports(path) if name.startswith("softaxe.")
        }
        - {dotted(path), "softaxe"}  # which offers names from everywhere, when asked
        for path in modules()
    }

    TopologicalSorter(needs).prepare()  # raises for a circle, and names it


def test_libraries_are_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = project["project"]
    extras = [one for some in project["optional-dependencies"].values() for one in some]
    named = {re.split("[>;]", one)[0] for one in [*project["dependencies"], *extras]}
    used = {
        name
        for path in modules()
        for name in imports(path)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "softaxe"}
    }
    libraries = {name.split(".")[0] for name in used}

    named |= {"pytest"}  # which alone loads the plugin
    assert {LIBRARY_OF.get(one, one.replace("_", "-")) for one in libraries} == named


def test_names_of_others_are_public() -> None:
    private = [
        f"{dotted(path)} imports {name}"
        for path in modules()
        for name in imports(path)
        if re.search(r"(^|\.)_[a-z]", name) and name != "softaxe.bitcoin._kernel"
    ]

    assert private == []


def test_everything_left_of_the_rooms_is_pure() -> None:
    assert [
        f"{dotted(path)} imports {name}"
        for path in filter(_is_pure, modules())
        for name in imports(path)
        if name.split(".")[0] in IMPURE
    ] == []


def _is_pure(path: Path) -> bool:
    is_room = (
        layer_name(path) == "client" or LAYERS[layer_name(path)] >= LAYERS["serve"]
    )
    if layer_name(path) == "metal":
        return path not in IMPURE_METAL
    return path in PURE_RECORDINGS or not (is_room or path == DOCUMENTATION_WRITER)


def test_a_module_that_does_something_has_a_test_file_of_its_own() -> None:
    places = [
        path.relative_to(SOURCE).with_name(f"test_{path.name}")
        for path in modules()
        if not path.name.startswith("__") and any(map(_does_something, functions(path)))
    ]

    assert [one for one in places if not (ROOT / "tests" / one).exists()] == []


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _does_something(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Not so in a Protocol, where there is nothing but words."""
    return not all(isinstance(step, ast.Expr) for step in function.body)


def test_every_module_has_a_place_in_the_layers() -> None:
    assert {layer_name(path) for path in modules()} <= set(LAYERS)
