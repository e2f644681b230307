import asyncio
from pathlib import Path

import pytest

from softaxe.errors import NotThere
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.fleet.parts.here import Here


def test_a_fleet_of_this_process_lives_as_a_part(tmp_path: Path) -> None:
    async def main() -> None:
        options = FleetOptions(
            state=tmp_path, groups=(Group(),), port=0, is_paused=True
        )
        fleet = Fleet(options)
        part = Here(fleet)
        await part.start()
        part.check()
        running = asyncio.ensure_future(part.run())
        try:
            await part.ask("advance", seconds=5, until=None)
            assert part.now == fleet.clock.now == 5
            part.pace(1000)
            assert part.now == 5, "it has the clock itself"
            with pytest.raises(NotThere):
                await part.ask("device", device_id="601-9")

            part.stop()
            await asyncio.wait_for(running, 30)
        finally:
            await part.end()
        assert not any(member.is_open for member in fleet.members.values())

    asyncio.run(main())
