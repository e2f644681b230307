"""What strangers get: the packages, and the files of the public repository."""

import re
import runpy
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from click.testing import CliRunner
from tests.each import each

pytestmark = pytest.mark.unwatched

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def readme() -> str:
    """Tell the readme of the packages; nothing is built."""
    import setuptools  # type: ignore[import-untyped]  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        given: dict[str, str] = {}
        patch.setattr(setuptools, "setup", given.update)
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / "setup.py"))
    return given["long_description"]


def test_links_and_pictures_of_the_packages_readme_work_elsewhere(readme: str) -> None:
    home = PROJECT["project"]["urls"]["Homepage"]
    ours = [link for link in LINK.findall(readme) if link.startswith(home)]

    assert all(
        link.startswith(("https://", "http://", "#")) for link in LINK.findall(readme)
    )
    assert len(ours) > 20
    for link in ours:
        kind, _, place = link.removeprefix(f"{home}/").partition("/main/")
        assert kind == ("raw" if place.endswith(".png") else "blob")
        assert (ROOT / place.partition("#")[0]).exists(), link


def test_the_sdist_has_all_that_its_tests_need() -> None:
    listed = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").split()
    # What is no folder or file of the work itself.
    others = {".git", ".gitignore", "build", "dist", "src", "LICENSE", "MANIFEST.in"}
    others |= {"README.md", "pyproject.toml", "setup.py"}
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone")

    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert {name.partition("/")[0] for name in tracked} - others <= set(listed)


@each(
    ("schema", "files"),
    [
        ("github-workflows", "workflows/*.yml"),
        ("dependabot", "dependabot.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
    ],
)
def test_files_of_the_repository_are_as_their_schemas_say(
    schema: str, files: str
) -> None:
    from check_jsonschema import main  # type: ignore[import-untyped]  # noqa: PLC0415

    found = sorted(map(str, GITHUB.glob(files)))
    arguments = ["--builtin-schema", f"vendor.{schema}", *found]

    result = CliRunner().invoke(main, arguments)

    assert found
    assert result.exit_code == 0, result.output


def test_every_python_that_is_promised_is_tried() -> None:
    workflow = yaml.safe_load((GITHUB / "workflows" / "test.yml").read_text())
    promised = {
        name.rpartition(" ")[2]
        for name in PROJECT["project"]["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", name)
    }

    assert set(workflow["jobs"]["all"]["strategy"]["matrix"]["python"]) == promised
    assert min(promised) == PROJECT["project"]["requires-python"].removeprefix(">=")


def test_workflows_name_what_there_is() -> None:
    text = "".join(path.read_text() for path in (GITHUB / "workflows").glob("*.yml"))

    for place in re.findall(r"(?<= )(?:tests|ui|deploy)/[\w/.]+", text):
        assert (ROOT / place).exists(), place
    for group in re.findall(r"--group (\w+)", text):
        assert group in PROJECT["dependency-groups"]
