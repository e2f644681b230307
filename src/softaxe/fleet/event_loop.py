"""The event loop that a fleet runs in."""

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make uvloop's, which is twice as fast, or Python's where there is none."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
