"""Other people's programs in a fleet's time.

    env = softaxe.warp.environment(
        "http://127.0.0.1:8100", now_s=0.0, is_driving=False, environ=os.environ
    )
    subprocess.run(["python", "tuner.py"], env=env)

`shim/sitecustomize.py` is what a Python program finds then, and where its time is bent;
`native.py` is for others.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from softaxe.errors import SettingError
from softaxe.warp.native import Page
from softaxe.warp.shim.sitecustomize import WHERE

SHIM = Path(__file__).with_name("shim")


def environment(
    control_url: str,
    *,
    now_s: float,
    is_driving: bool,
    token: str = "",
    seen: Path | None = None,
    page: Page | None = None,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Return the environment that puts a program, and its children, in time.

    Args:
        control_url: Of the fleet.
        now_s: The fleet's time at present, in its seconds.
        is_driving: Whether the fleet stands still and goes on when the program waits,
            as fast as it can; otherwise the program follows the fleet's clock.
        token: Of the control port.
        seen: A file that is made by the first Python program that has entered.
        page: Where the fleet's time is told to programs that are not Python; those stay
            in real time without one.
        environ: What the program has otherwise.

    Raises:
        SettingError: The URL is none.
    """
    host, port = address_of(control_url)
    told = {
        "host": host,
        "port": port,
        "token": token,
        "drive": is_driving,
        "epoch_s": page.epoch_s if page else time.time() - now_s,
        "monotonic_s": page.monotonic_s if page else time.monotonic() - now_s,
        "seen": "" if seen is None else str(seen),
    }
    places = [str(SHIM)]
    places += [
        place
        for place in environ.get("PYTHONPATH", "").split(os.pathsep)
        if place and place not in places
    ]
    return {
        **environ,
        **(page.environment(environ) if page else {}),
        WHERE: json.dumps(told),
        "PYTHONPATH": os.pathsep.join(places),
    }


def address_of(control_url: str) -> tuple[str, int]:
    """Return host and port of a control port.

    Raises:
        SettingError: The URL is none.
    """
    try:
        parts = urlsplit(control_url)
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname:
        raise SettingError(f"control: {control_url!r} is not http://HOST:PORT")
    return parts.hostname, port
