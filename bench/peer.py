"""The peer: a bare Starlette app that answers given bytes through msgspec.

Run as `python -m bench.peer PORT FILE`.
"""

import sys
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    """Serve the file's bytes at the path of a Bitaxe's info."""
    body = msgspec.Raw(Path(sys.argv[2]).read_bytes())

    async def info(_request: Request) -> Response:
        content = msgspec.json.encode(body)
        return Response(content, media_type="application/json")

    app = Starlette(routes=[Route("/api/system/info", info)])
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()
