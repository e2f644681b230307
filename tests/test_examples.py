import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_dashboards_own_tests_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    command += ["-p", "no:schemathesis", "-p", "no:anyio", "--rootdir", "."]

    result = subprocess.run(
        [*command, "-o", "addopts=", "."],
        cwd=EXAMPLES / "dashboard",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 passed" in result.stdout
