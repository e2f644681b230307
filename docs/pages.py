"""Lays out the documentation site in build/docs: the pages as they are, and made ones.

The home page is the README, guides are docs/*.md, and the reference is made from the
commands, the control API and the docstrings. Nothing but links is changed on the way.
"""

import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
SOURCE = "https://github.com/softaxe/softaxe"
PLACES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Where pages of the source's top are on the site; those of docs/ keep their places."""
FENCE = re.compile(r"^( *)(```+)([^\n]*)\n(.*?)^\1\2 *$\n?", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FILE_NAMED = re.compile(r"\[(?:[\w./]+/)?\w+\.md\](?=\(([^)\s#]+\.md)[)#])")
"""A link whose text is the name of the page's file, as is usual in the source."""
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


# Links


def sources() -> list[str]:
    """Return every page that people write, from the top of the source."""
    pages = (page.relative_to(ROOT).as_posix() for page in DOCS.rglob("*.md"))
    return [*PLACES, *sorted(pages)]


def links(text: str) -> list[str]:
    """Return where a page's links and pictures lead, those in code left out."""
    text = re.sub(r"`[^`\n]+`", "", FENCE.sub("", text))
    return [target for _, target, _ in LINK.findall(text)]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    found = HEADING.findall(FENCE.sub("", text))
    return {slug(heading) for heading in found}


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    plain = LINK.sub("", heading).replace("[", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def broken(source: str) -> Iterator[str]:
    """Yield the links of a page that lead to no file, or to no heading of one."""
    for link in links((ROOT / source).read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        place = _target(source, target) if target else source
        path = ROOT / place
        leads = path.exists()
        if leads and anchor:
            leads = anchor in anchors(path.read_text(encoding="utf-8"))
        if not leads:
            yield link


def with_links(text: str, source: str) -> str:
    """Return a page whose links lead to the site's pages, or else to the source."""

    def moved(match: re.Match[str]) -> str:
        before, link, after = match.groups()
        target, hash_sign, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link) or not target:
            return match[0]
        place = _target(source, target)
        to = PLACES.get(place)
        if to is None and place.startswith("docs/"):
            to = place.removeprefix("docs/")
        if to is None:
            return f"{before}{SOURCE}/blob/main/{place}{hash_sign}{anchor}{after}"
        there = relpath(to, PurePosixPath(_place(source)).parent)
        return f"{before}{there}{hash_sign}{anchor}{after}"

    def titled(match: re.Match[str]) -> str:
        page = ROOT / _target(source, match[1])
        return f"[{HEADING.findall(page.read_text(encoding='utf-8'))[0]}]"

    return LINK.sub(moved, FILE_NAMED.sub(titled, text))


def _target(source: str, target: str) -> str:
    return normpath(str(PurePosixPath(source).parent / target))


def _place(source: str) -> str:
    return PLACES.get(source) or source.removeprefix("docs/")


# The reference


def cli_page() -> str:
    """Return every command with its options, as `--help` tells them."""
    import typer  # noqa: PLC0415 - only the builder of the site needs it

    from softaxe.cli.commands import app  # noqa: PLC0415

    root: Any = typer.main.get_command(app)
    context = root.make_context("softaxe", ["run"])
    text = (
        "# Command line\n\n"
        "What `softaxe COMMAND --help` tells. Any option may be a variable of the "
        "environment, too: the one that stands beside it.\n\n"
    )
    return text + "".join(
        _command(command, f"softaxe {name}", context)
        for name, command in root.commands.items()
    )


def _command(command: Any, name: str, parent: Any) -> str:
    """Return a command, and those below it."""
    own = command.context_class(
        command,
        info_name=name.rsplit(maxsplit=1)[-1],
        parent=parent,
        **command.context_settings,
    )
    usage = " ".join((name, *command.collect_usage_pieces(own)))
    records = [one.get_help_record(own) for one in command.get_params(own)]
    rows = ([f"`{_cell(one[0])}`", _cell(_text(one[1]))] for one in records if one)
    about = re.sub(r"(?<=\S)\n(?=\S)", " ", (command.help or "").strip())
    text = f"## {name}\n\n{_text(about)}\n\n```\n{usage}\n```\n\n"
    text += _table(("option", "meaning"), rows) + "\n"
    from softaxe.cli.device import SCAN  # noqa: PLC0415

    return text + "".join(
        _command(
            below, f"{name}{'' if below_name == SCAN else ' URL'} {below_name}", own
        )
        for below_name, below in getattr(command, "commands", {}).items()
    )


def control_page() -> str:
    """Return the control API's OpenAPI document as a page."""
    from softaxe.control.document import document  # noqa: PLC0415

    made = document("http://127.0.0.1:8100")
    text = (
        "# Control API\n\n"
        "A fleet's API on its control port, `http://127.0.0.1:8100` unless told "
        "otherwise; what it is for: [Fleets](../fleet.md#control). The same as "
        "OpenAPI is at `/control/openapi.json`. A refusal, 400 to 499, is a "
        "[Refusal](#object-refusal).\n\n"
    )
    for tag in made["tags"]:
        text += f"## {tag['name'].capitalize()}\n\n{tag['description']}\n\n"
        for path, methods in made["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    text += _operation(method.upper(), path, operation)
    text += "## Objects\n\nWhat goes in and comes out, by name.\n\n"
    for name, schema in sorted(made["components"]["schemas"].items()):
        text += f"### {name} {{ #object-{name.lower()} }}\n\n"
        text += f"{_text(schema.get('description', ''))}\n\n"
        text += _schema(schema)
    return text


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    text = f"### {method} {path}\n\n{_text(operation['description'])}\n\n"
    rows = [
        (f"`{one['name']}`", one["in"], _takes(one["schema"]), _about(one["schema"]))
        for one in operation["parameters"]
    ]
    if rows:
        text += _table(("parameter", "in", "takes", "meaning"), rows) + "\n"
    if "requestBody" in operation:
        text += f"Takes {_content(operation['requestBody'])}.\n\n"
    answers = (
        f"{status} with {_content(answer)}"
        for status, answer in operation["responses"].items()
        if status != "4XX"
    )
    return f"{text}Answers {'; '.join(answers)}.\n\n"


def _content(answer: Mapping[str, Any]) -> str:
    kind, content = next(iter(answer["content"].items()))
    return "text" if kind == "text/plain" else _takes(content["schema"])


def _schema(schema: Mapping[str, Any]) -> str:
    if "oneOf" in schema:
        return "One of " + ", ".join(map(_takes, schema["oneOf"])) + ".\n\n"
    needed = schema.get("required", ())
    rows = [
        (
            f"`{name}`{' (needed)' if name in needed else ''}",
            _takes(member),
            f"`{member['default']}`" if "default" in member else "",
            _about(member),
        )
        for name, member in schema.get("properties", {}).items()
    ]
    heads = ("member", "is", "default", "meaning")
    return f"{_table(heads, rows)}\n" if rows else ""


def _takes(schema: Mapping[str, Any]) -> str:
    """Tell what a schema allows, with links to other objects."""
    match schema:
        case {"$ref": str(place)}:
            name = place.rpartition("/")[2]
            return f"[{name}](#object-{name.lower()})"
        case {"enum": [*values]}:
            return ", ".join(f"`{value}`" for value in values)
        case {"anyOf": [*kinds]} | {"oneOf": [*kinds]}:
            return " or ".join(map(_takes, kinds))
        case {"minimum": low, "maximum": high}:
            return f"{low} to {high}"
        case {"type": "array", "items": items}:
            return f"list of {_takes(items)}"
        case {"type": [*kinds]}:
            return " or ".join(kinds)
        case {"type": kind}:
            return str(kind)
    return "anything"


def _about(schema: Mapping[str, Any]) -> str:
    return _cell(_text(schema.get("description", "")))


PYTHON: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "In tests": (
        "What [softaxe in your tests](../testing.md) tells by examples. The classes "
        "are in `softaxe.testing`, for annotations; you do not make them yourself.",
        (
            "softaxe.testing.run.running",
            "softaxe.testing.run.RunningFleet",
            "softaxe.testing.run.RunningDevice",
            "softaxe.testing.run.Faults",
            "softaxe.testing.run.RunningClock",
            "softaxe.testing.run.RunningPool",
            "softaxe.testing.run.MakeDevices",
            "softaxe.testing.run.firmware_image",
            "softaxe.serve.journal.Entry",
            "softaxe.testing.options.GroupOptions",
            "softaxe.testing.options.FaultOptions",
        ),
    ),
    "A client": (
        "What [a client](../client.md) tells by examples.",
        (
            "softaxe.client.axeos.AxeOS",
            "softaxe.client.axeos.AsyncAxeOS",
            "softaxe.client.info.Info",
            "softaxe.client.info.Asic",
            "softaxe.client.members.Pool",
            "softaxe.client.answers.Statistics",
            "softaxe.client.answers.Change",
            "softaxe.client.discovery.Found",
            "softaxe.client.discovery.scan",
            "softaxe.client.discovery.discover",
        ),
    ),
    "Without sockets": (
        "The pure core: no socket, file, clock or thread; time moves when you say so.",
        (
            "softaxe.simulation.Simulation",
            "softaxe.device.device.Device",
            "softaxe.stratum.pool.Pool",
        ),
    ),
    "Errors": ("All of them are `SoftaxeError`s.", ("softaxe.errors",)),
}
"""What the reference of the Python API shows, by part, with a word about each."""
OFFERED = {
    "softaxe.testing.run.running": "softaxe.running",
    "softaxe.client.axeos.AxeOS": "softaxe.AxeOS",
    "softaxe.client.axeos.AsyncAxeOS": "softaxe.AsyncAxeOS",
    "softaxe.simulation.Simulation": "softaxe.Simulation",
    "softaxe.device.device.Device": "softaxe.Device",
    "softaxe.stratum.pool.Pool": "softaxe.Pool",
}
"""Names by which people import what is elsewhere."""


def python_page() -> str:
    """Return a page that mkdocstrings fills from the docstrings."""
    text = "# Python API\n\n"
    for part, (about, names) in PYTHON.items():
        text += f"## {part}\n\n{about}\n\n"
        for name in names:
            title = OFFERED.get(name) or name.replace("testing.run.", "testing.")
            text += f"::: {name}\n    options:\n      heading: {title}\n\n"
    return text


def _table(heads: tuple[str, ...], rows: Any) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def _text(text: str) -> str:
    return re.sub(r"docs/(\w+)\.md", r"[\1](../\1.md)", text.replace("<", "&lt;"))


MADE = {
    "reference/cli.md": cli_page,
    "reference/control.md": control_page,
    "reference/python.md": python_page,
}
"""Pages that nobody writes."""


def lay_out(to: Path) -> None:
    """Write all pages and pictures of the site."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(DOCS, to, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for source in sources():
        text = (ROOT / source).read_text(encoding="utf-8")
        (to / _place(source)).write_text(with_links(text, source), encoding="utf-8")
    for place, made in MADE.items():
        (to / place).parent.mkdir(exist_ok=True)
        (to / place).write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
