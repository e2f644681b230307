"""The examples of README and docs work as they are written."""

import ast
import asyncio
import inspect
import json
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]
from tests.each import each
from tests.terminal import Terminal

import softaxe
from softaxe.description import given, read
from softaxe.effects import Fault
from softaxe.fleet.groups import groups_of
from softaxe.fleet.networks import NetworksFile
from softaxe.fleet.options import FleetFile
from softaxe.scenario import read_scenario
from softaxe.testing import MakeDevices, RunningFleet, firmware_image

pytestmark = pytest.mark.unwatched

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "dashboard"
COMMENT = re.compile(r"<!-- not run: (.+) -->$")
NAMED = re.compile(r"`(\w[\w.]*\.(?:py|mjs))`,")
LATER = {"pool.pem"}
"""Files that other commands make."""
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1``` *$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences of a page."""

    page: str
    line: int
    language: str
    code: str
    name: str
    """Of the file that it is, as the words before it say; or nothing."""
    why_not_run: str
    """What a comment before it says."""

    @property
    def place(self) -> str:
        """Where to find it."""
        return f"{self.page}:{self.line}"


def all_blocks() -> Iterator[Block]:
    """Every block of README and docs; what is said twice, once."""
    seen = set()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        page = path.relative_to(ROOT).as_posix()
        for match in FENCE.finditer(text):
            code = dedent(match[3])
            if (page, code) not in seen:
                seen.add((page, code))
                before = text[: match.start()].rstrip().rpartition("\n\n")[2]
                comment = COMMENT.search(before)
                named = NAMED.match(before)
                line = text.count("\n", 0, match.start()) + 1
                yield Block(
                    page,
                    line,
                    match[2],
                    code,
                    named[1] if named else "",
                    comment[1] if comment else "",
                )


BLOCKS = [*all_blocks()]
SHELLS = ("bash", "sh", "console", "shell")


def blocks(*languages: str) -> list[Block]:
    """Those of some languages; what pages share, once."""
    found: dict[str, Block] = {}
    for one in BLOCKS:
        if one.language in languages:
            found.setdefault(one.code, one)
    return [*found.values()]


def typed_on(page: str) -> str:
    """All that a page has a reader type."""
    return "".join(
        one.code for one in BLOCKS if one.page == page and one.language in SHELLS
    )


def test_every_block_is_of_a_language_that_is_run_or_read() -> None:
    known = {*SHELLS, "python", "js", "toml", "json", "yaml", ""}

    assert {
        one.place: one.language for one in BLOCKS if one.language not in known
    } == {}


# Python


@pytest.fixture
def bitaxe(bitaxe_factory: MakeDevices) -> RunningFleet:
    """As the plugin has it; here the tests of the server have another of the name."""
    return bitaxe_factory()


def examples() -> Iterator[Any]:
    """Every Python block, or every test of one that has tests."""
    for block in blocks("python"):
        if f"python {block.name} " in typed_on(block.page):
            continue  # the terminal runs it
        tests = [
            one.name
            for one in ast.parse(block.code).body
            if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
        ]
        for name in tests or [""]:
            yield pytest.param(block.code, name, id=f"{block.place} {name}".strip())


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


# TOML, JSON


@each("block", blocks("toml"))
def test_toml(block: Block) -> None:
    table = tomllib.loads(block.code)
    if "network" in table:
        read(NetworksFile, table)
    elif "step" in table:
        read_scenario({key: table[key] for key in table if key != "group"}, "example")
        if "group" in table:
            groups_of(given(FleetFile, {"group": table["group"]}), "example")
    else:
        groups_of(given(FleetFile, table), "example")


def test_orders_of_faults_in_json() -> None:
    rules = [json.loads(block.code) for block in blocks("json")]

    assert rules
    for rule in rules:
        read(Fault, rule)


# Shell

BESIDE = {
    "docs/fleet.md": "softaxe run --count 3 --port-base 8080 --ephemeral --seed 1",
    "docs/pools.md": "softaxe pool --sv2 --seed 7 --port 3333",
}
"""What a page says to have in another terminal, if it is not a Bitaxe."""
BITAXE = "softaxe run --ephemeral --seed 1 --speed 10"
AFTERWARDS = """
curl -X POST http://127.0.0.1:8080/api/system/restart
curl -X POST http://127.0.0.1:8100/control/clock/advance -d '{"seconds": 60}'
curl http://127.0.0.1:8080/api/system/info | jq -e '.hashRate > 0 and .apEnabled == 0'
"""
"""The tour of the README has not harmed the device."""


def scripts(text: str) -> Iterator[str]:
    """What the jobs of a CI's file run."""
    found = yaml.safe_load(text)
    for step in found if isinstance(found, list) else found.values():
        told = step.get("run") or step["script"]
        yield told if isinstance(told, str) else "\n".join(told)


def typed() -> dict[str, dict[str, str]]:
    """By page, the blocks that are run, by their places."""
    pages: dict[str, dict[str, str]] = {}
    for one in BLOCKS:
        if one.language in SHELLS and not one.why_not_run:
            pages.setdefault(one.page, {})[one.place] = one.code
        elif one.language == "yaml":
            pages[one.place] = {one.place: "\n".join(scripts(one.code))}
    return pages


@pytest.mark.skipif(
    sys.platform == "win32" or not all(map(shutil.which, ("bash", "curl", "jq"))),
    reason="there is no bash, curl or jq",
)
@pytest.mark.parametrize("page", typed())
def test_what_a_page_has_one_type_works(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasted = typed()[page]
    text = "".join(pasted.values())
    if "node " in text and shutil.which("node") is None:
        pytest.skip("there is no Node.js")
    terminal = Terminal(tmp_path, ROOT, monkeypatch)
    for one in BLOCKS:
        if one.page == page and one.name:
            code = terminal.here(one.code)
            (tmp_path / one.name).write_text(code, encoding="utf-8")
    (tmp_path / "esp-miner.bin").write_bytes(firmware_image("2.12.3"))
    try:
        if not re.search("&$", text, re.MULTILINE) and re.search(
            r"127\.0\.0\.1|http://192", text
        ):
            terminal.start(BESIDE.get(page, BITAXE))
        if page == "README.md":
            pasted["afterwards"] = AFTERWARDS
        terminal.paste(pasted, reading_s=1.0 if "$M" in text else 0.0)
    finally:
        terminal.close()


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


SHELL = [
    words
    for block in BLOCKS
    if block.language in SHELLS and block.why_not_run
    for words in commands(_joined(block.code))
]
"""Every command that is not run."""


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


@each("words", of_kind("python", "docker", "kubectl"))
def test_files_are_there(words: list[str]) -> None:
    named = [one for one in words if re.fullmatch(r"[\w./-]+\.(py|yaml|toml)", one)]

    assert all((ROOT / one).is_file() for one in named)


def test_nothing_else_is_left_unrun() -> None:
    """A command that no test above looks at has to be looked at."""
    known = {"curl", "softaxe", "uvx", "python", "docker", "kubectl"}
    known |= {"pip", "ray", "export", "avahi-browse"}
    heads = {words[0] for words in SHELL}

    assert heads - known == set()
