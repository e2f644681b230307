import subprocess
import sys
from pathlib import Path

USER = """
import softaxe
from softaxe.testing import GroupOptions, MakeDevices, RunningFleet

def others() -> GroupOptions:
    return {"name": "others"}

def test_right(bitaxe_factory: MakeDevices) -> None:
    fleet = bitaxe_factory(count=3, ambient=31, settings={"frequency": 490})
    fleet.faults.add("latency", ms=300, device="601-*", firmware="2.12*")
    fleet.add(board="hex", first_boot=True, firmware=["2.9", "2.15"], mdns=False)
    bitaxe_factory(groups=[{"board": "402", "count": 2}, others()])
    fleet.pool.faults.add("pool_reject", reason="No")

def test_wrong(bitaxe_factory: MakeDevices, bitaxe: RunningFleet) -> None:
    bitaxe.faults.add("fan_ded")
    bitaxe.faults.add("latency", mss=300)
    bitaxe.faults.add("ota_failing", how="badly")
    bitaxe.add(bord="601")
    bitaxe_factory(ambeint=30)
    softaxe.running(work="sealed")
    softaxe.running(groups=[{"board": "402", "cuont": 2}])
"""


ROOT = Path(__file__).parents[2]


def test_a_type_checker_sees_a_users_typos(tmp_path: Path) -> None:
    path = tmp_path / "user.py"
    path.write_text(USER, encoding="utf-8")
    first_wrong = USER.splitlines().index('    bitaxe.faults.add("fan_ded")') + 1

    # With the project's options, so that what it knows of softaxe is used again.
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml"]
    found = subprocess.run(
        [*command, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    errors = [line for line in found.stdout.splitlines() if ": error: " in line]
    lines = [int(line.split(": error: ")[0].rpartition(":")[2]) for line in errors]
    assert lines == list(range(first_wrong, first_wrong + 7)), found.stdout
    for told, word in zip(
        errors,
        ("fan_blocked", "mss", "refused", "bord", "ambeint", "auto", "cuont"),
        strict=True,
    ):
        assert word in told
