"""The kernel's Arm variant, cross-compiled and run by an emulator of the CPU."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from softaxe.bitcoin import kernel

SOURCES = Path(__file__).parents[2] / "src" / "softaxe" / "bitcoin"
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(
    shutil.which(COMPILER) is None or shutil.which(EMULATOR) is None,
    reason=f"needs {COMPILER} and {EMULATOR}",
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("arm") / "kernel"
    options = ["-O2", "-Wall", "-Wextra", "-Werror", "-static", f"-I{SOURCES}"]
    main = HERE / "kernel_main.c"
    subprocess.run([COMPILER, *options, main, "-o", made], check=True, timeout=120)
    return made


@pytest.mark.parametrize("variant", ["arm-sha2", "c"])
def test_random_headers_targets_and_ranges(program: Path, variant: str) -> None:
    rng = random.Random(2)
    lines, expected = [], []
    for count in (0, 1, 3, 4, 5, 17, 64, 200, 2000):
        header, target = rng.randbytes(80), rng.getrandbits(rng.randrange(248, 257))
        first = rng.choice([rng.getrandbits(32), 0xFFFFFFF0])
        state, tail = kernel.midstate(header[:64]).hex(), header[64:76].hex()
        target_le = target.to_bytes(32, "little").hex()
        lines.append(f"{variant} {state} {tail} {first} {count} {target_le}\n")
        expected.append(kernel.search_python(header, first, count, target))

    result = subprocess.run(
        [EMULATOR, "-cpu", "max", program],
        input="".join(lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    found = [[int(word) for word in line.split()] for line in result.stdout.split("\n")]
    assert found[:-1] == expected
