"""The examples of README and docs work as they are written."""

import ast
import asyncio
import inspect
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from tests.each import each
from tests.running import free_ports

import softaxe
from softaxe.catalog.firmware import firmware, versions
from softaxe.control.operations import OPERATIONS, Operation
from softaxe.description import given, read
from softaxe.effects import Fault
from softaxe.fleet.groups import groups_of
from softaxe.fleet.networks import NetworksFile
from softaxe.fleet.options import FleetFile
from softaxe.scenario import read_scenario
from softaxe.testing import MakeDevices, RunningFleet

pytestmark = pytest.mark.unwatched

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "dashboard"
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1``` *$", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> dict[str, str]:
    """Every block of a language by its page and line; what is said twice, once."""
    found: dict[str, str] = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            place = f"{page.relative_to(ROOT).as_posix()}:{line}"
            if match[2] == language:
                found.setdefault(dedent(match[3]), place)
    return {place: code for code, place in found.items()}


# Python


@pytest.fixture
def bitaxe(bitaxe_factory: MakeDevices) -> RunningFleet:
    """As the plugin has it; here the tests of the server have another of the name."""
    return bitaxe_factory()


def examples() -> Iterator[Any]:
    """Every Python block, or every test of one that has tests."""
    for place, code in blocks("python").items():
        tests = [
            one.name
            for one in ast.parse(code).body
            if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
        ]
        for name in tests or [""]:
            yield pytest.param(code, name, id=f"{place} {name}".strip())


@pytest.mark.parametrize(("code", "name"), [*examples()])
def test_python(
    code: str,
    name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own: dict[str, Any] = {
        "softaxe": softaxe,
        "pytest": pytest,
        "my_dashboard": my_dashboard(monkeypatch),
    }
    if not name and "bitaxe" in code and "as bitaxe" not in code:
        own["bitaxe"] = request.getfixturevalue("bitaxe")
        own["bitaxe"].info()  # so that there is a line in its journal

    compiled = compile(code, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, own)
    if inspect.iscoroutine(result):
        asyncio.run(result)
    if name:
        _called(own[name], request)


def my_dashboard(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What pages call the reader's own program; here it is that of examples/."""
    monkeypatch.syspath_prepend(EXAMPLE)
    ask = import_module("dashboard").read

    def read_miner(url: str) -> SimpleNamespace:
        miner = ask(url)
        return SimpleNamespace(
            hashrate=miner.hashrate_ghs, is_overheated=miner.problem == "overheated"
        )

    return SimpleNamespace(read=read_miner)


def _called(test: Any, request: pytest.FixtureRequest) -> None:
    """Run a test with its fixtures, and with each of its values."""
    marks = getattr(test, "pytestmark", [])
    (name, values), *others = [mark.args for mark in marks] or [("", [None])]
    assert not others
    fixtures = {
        one: request.getfixturevalue(one)
        for one in inspect.signature(test).parameters
        if one != name
    }
    for value in values:
        test(**fixtures, **({name: value} if name else {}))


# JavaScript


@pytest.mark.parametrize(
    "code", [pytest.param(code, id=place) for place, code in blocks("js").items()]
)
def test_javascript(code: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js")
    script = tmp_path / "example.mjs"
    script.write_text(code, encoding="utf-8")

    with softaxe.running(control=True, port=free_ports()) as bitaxe:
        result = subprocess.run(
            [node, script],
            env={"DEVICE": bitaxe.url, "CONTROL": bitaxe.control_url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert result.returncode == 0, result.stdout + result.stderr


# TOML, JSON


@each("code", blocks("toml").values())
def test_toml(code: str) -> None:
    table = tomllib.loads(code)
    if "network" in table:
        read(NetworksFile, table)
    elif "step" in table:
        read_scenario({key: table[key] for key in table if key != "group"}, "example")
        if "group" in table:
            groups_of(given(FleetFile, {"group": table["group"]}), "example")
    else:
        groups_of(given(FleetFile, table), "example")


def test_orders_of_faults_in_json() -> None:
    rules = [json.loads(code) for code in blocks("json").values()]

    assert rules
    for rule in rules:
        read(Fault, rule)


# Shell

LATER = {"mine.jsonl", "pool.pem"}
"""Files that other commands make, of a real device or a pool."""


def commands(code: str) -> Iterator[list[str]]:
    """The words of every command of a block."""
    for line in code.replace("\\\n", " ").splitlines():
        # A variable that has a command's output: the command.
        words = shlex.split(re.sub(r"^[A-Z]=\$\(", "", line), comments=True)
        while words and re.fullmatch(r"[A-Z]+=.*", words[0]):
            words = words[1:]
        if words and words[-1] == "&":
            words.pop()
        if words:
            yield words


def _joined(code: str) -> str:
    """A block in which what is quoted over several lines is one line."""
    return re.sub(r"'[^']*'", lambda one: one[0].replace("\n", " "), code)


SHELL = [words for code in blocks("bash").values() for words in commands(_joined(code))]
"""Every command of every block."""


def of_kind(*names: str) -> list[list[str]]:
    """The commands of these names."""
    return [words for words in SHELL if words[0] in names]


@pytest.fixture(scope="module")
def root() -> Any:
    """What the command line calls."""
    from softaxe.cli.commands import app  # noqa: PLC0415

    return typer.main.get_command(app)


@each("words", of_kind("softaxe", "uvx"))
def test_commands_have_what_they_are_given(
    words: list[str], root: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    name, *arguments = words[words.index("softaxe") + 1 :]
    for number, argument in enumerate(arguments):
        if argument in LATER:
            arguments[number] = str(tmp_path / argument)
            (tmp_path / argument).touch()

    # It complains as the command line does.
    command = root.commands[name]
    if name == "metal":  # nothing of its own comes before what it shall do
        command = command.commands[arguments.pop(0)]
    context = command.make_context(name, arguments)

    assert context.params
    for argument in arguments:
        if argument.endswith(".toml") and f"-o {argument}" not in " ".join(arguments):
            assert Path(argument).is_file(), argument


@each("words", of_kind("curl", "patch"))
def test_requests_are_taken(words: list[str]) -> None:
    options = dict(pairwise(words))
    method = options.get("-X", "GET")
    body = options.get("-d")
    if words[0] == "patch":
        _is_patch(words[1])
        return
    url = next(one for one in words if re.search(r"^http:|^\$[A-Z]/", one))
    target = urlsplit(re.sub(r"^\$[A-Z]", "http://x", url))
    if target.path.startswith("/control") or target.path == "/metrics":
        operation = _operation(method, target.path)
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        assert set(query) <= set(operation.query.__struct_fields__)
        if operation.body is not None:
            assert body is not None
            read(operation.body, json.loads(body))
    elif target.path.startswith("/api"):
        assert any(
            (route.method, route.path) == (method, target.path)
            for version in versions()
            for route in firmware(version).routes
        )
        if method == "PATCH" and body != "$1":
            _is_patch(str(body))
    else:
        assert target.path.startswith("/softaxe/")


def _is_patch(body: str) -> None:
    groups_of({"group": [{"settings": json.loads(body)}]}, "example")


def _operation(method: str, path: str) -> Operation:
    """The operation that a request means, the one without names in its path first."""
    found = [
        one
        for one in OPERATIONS
        if one.method == method
        and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one.path), path)
    ]
    assert found, f"{method} {path}"
    return min(found, key=lambda one: one.path.count("{"))


@each("words", of_kind("python", "docker", "kubectl"))
def test_files_are_there(words: list[str]) -> None:
    named = [one for one in words if re.fullmatch(r"[\w./-]+\.(py|yaml|toml)", one)]

    assert all((ROOT / one).is_file() for one in named)


def test_nothing_else_is_typed() -> None:
    """A command that no test above looks at has to be looked at."""
    known = {"curl", "patch", "softaxe", "uvx", "python", "docker", "kubectl"}
    known |= {"pip", "pytest", "node", "ray", "export", "cd", "sudo"}
    known |= {"avahi-browse", "patch()"}
    heads = {words[0] for words in SHELL}

    assert heads - known == set()
