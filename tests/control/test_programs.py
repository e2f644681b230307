import asyncio
import sys

import pytest

from softaxe.control.programs import KEPT_BYTES, Program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses a shell")


async def ended(script: str, **told: str) -> Program:
    program = await Program.start(["sh", "-c", script], told)
    while program.status is None:  # noqa: ASYNC110 - as scenarios look
        await asyncio.sleep(0.005)
    await program.close()
    return program


def test_it_is_told_things_and_tells_its_end() -> None:
    program = asyncio.run(ended('echo "$WHAT"; echo wrong >&2; exit 3', WHAT="a b"))

    assert program.status == 3
    assert program.output == "a b\nwrong\n"


def test_only_the_end_of_much_output_is_kept() -> None:
    program = asyncio.run(ended("yes | head -c 100000; echo last"))

    assert program.output.startswith(f"({100_005 - KEPT_BYTES} bytes before)\n")
    assert program.output.endswith("y\nlast\n")
    assert len(program.output) < KEPT_BYTES + 100


def test_what_still_runs_is_ended_with_all_that_it_has_started() -> None:
    async def run() -> Program:
        program = await Program.start(["sh", "-c", "sleep 1000 & echo up; wait"], {})
        while not program.output:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
        await program.close()
        return program

    program = asyncio.run(run())

    assert program.status == 128 + 15
    assert program.output == "up\n"
