"""What `test_kill_9_loses_nothing_that_was_answered` kills.

For each line of its input it forks a device, which tells its process id, port and
settings and then serves until it is killed. Forking spares the imports.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from softaxe.api.views import info_body
from softaxe.fleet.fleet import Fleet
from softaxe.fleet.groups import Group
from softaxe.fleet.options import FleetOptions
from softaxe.serve.storage import Storage

NAMES = ("statsFrequency", "hostname", "temptarget", "version")


def main(directory: Path) -> None:
    """Set the state up once, then fork as asked."""
    storage = Storage(directory)
    rows: dict[str, str | int | float] = {
        "statsFrequency": 0,
        "hostname": "h0",
        "temptarget": 0,
    }
    storage.save_settings("601-0", rows)
    storage.close()
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(serve(directory))
        os.waitpid(child, 0)


async def serve(directory: Path) -> None:
    """Be a device."""
    # An unused pool address spares the time to open the built-in pool's ports.
    groups = (Group(pool="127.0.0.1:9"),)
    fleet = Fleet(FleetOptions(state=directory, groups=groups, port=0))
    await fleet.start()
    (member,) = fleet.members.values()
    info = json.loads(info_body(member.device))
    told = {name: info[name] for name in NAMES}
    told |= {"port": member.port, "pid": os.getpid()}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await fleet.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
