"""The control API of a fleet: devices, faults, clock, journal, snapshots, metrics.

It has a port of its own and is no part of any device. Only a browser page of its own
address may use it, and only under a name of this machine: other sites' pages, and names
that others can point here, are refused.
"""

import json
from collections.abc import Awaitable, Callable, Collection
from importlib.resources import files
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from softaxe.control.operations import OPERATIONS, Operation
from softaxe.description import members
from softaxe.errors import FleetStopped, SettingError, StorageError
from softaxe.fleet.clock import Clock
from softaxe.serve.answers import BodyCutOff, BodyTooLong, read_body

BODY_LIMIT_BYTES = 64 << 10
Handler = Callable[[Request], Awaitable[Response]]
_PAGE = files("softaxe.control") / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
}
_NOT_BUILT = (
    b"<!DOCTYPE html><title>softaxe fleet</title>"
    b"<p>The fleet runs, but its page was not built. "
    b"<code>make</code> in the source folder builds it."
)


class Refused(Exception):
    """A request cannot be answered; holds the status and the words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ControlApp:
    """Routes the control API's requests, and serves its page; an ASGI application.

    Args:
        handlers: Has a method for each operation, by its name.
    """

    def __init__(self, handlers: object) -> None:
        self._handlers = handlers
        routes: list[BaseRoute] = []
        for operation in OPERATIONS:
            route = Route(
                operation.path,
                self._answering(operation),
                methods=[operation.method],
            )
            routes.append(route)
        routes.append(Route("/{path:path}", _page, methods=["GET"]))
        refuse_others = Route("/{path:path}", _refuse_method)
        refuse_others.methods = set()  # any; to Starlette, none given means GET
        routes.append(refuse_others)
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close"})
            return
        refusal = refuse(Request(scope))
        if refusal is not None:
            await _error(403, refusal)(scope, receive, send)
            return
        await self._router(scope, receive, send)

    def _answering(self, operation: Operation) -> Handler:
        work = getattr(self._handlers, operation.name)

        async def answer(request: Request) -> Response:
            try:
                Query(request).check([one.name for one in members(operation.query)])
                found = await work(request)
            except Refused as error:
                return _error(error.status, str(error))
            except SettingError as error:
                return _error(400, str(error))
            except FleetStopped as error:
                return _error(503, str(error))
            except (StorageError, OSError) as error:
                return _error(500, str(error))
            if isinstance(found, Response):
                return found
            # Several times as fast as Starlette's, which counts with thousands of rows.
            body = msgspec.json.encode(found)
            return Response(body, operation.status, media_type="application/json")

        return answer


def no_device(device_id: str) -> Refused:
    """Return the refusal of a request for a device that is not there."""
    return Refused(404, f"device: there is no {device_id!r}")


async def _refuse_method(request: Request) -> Response:
    path = request.url.path
    return _error(405, f"{request.method}: {path} is not to be had by this method")


async def _page(request: Request) -> Response:
    name = request.path_params["path"] or "fleet.html"
    # Names are compared with what there is, so no path leads anywhere else.
    pages = {file.name: file for file in _PAGE.iterdir()} if _PAGE.is_dir() else {}
    kind = _TYPES.get(name[name.rfind(".") :], "application/octet-stream")
    if f"{name}.gz" in pages:
        headers = {"Content-Encoding": "gzip", "Cache-Control": "max-age=2592000"}
        body = pages[f"{name}.gz"].read_bytes()
        return Response(body, headers=headers, media_type=kind)
    if name in pages:
        return Response(pages[name].read_bytes(), media_type=kind)
    if name == "fleet.html":
        return Response(_NOT_BUILT, media_type=kind)
    return _error(404, f"{request.url.path}: there is no such route or page")


def refuse(request: Request) -> str | None:
    """Tell why a request may not be served; None when it may.

    A page of another site that a user of this machine looks at can send requests here:
    it has an Origin. One that points its own name here has that name as Host.
    """
    host = request.headers.get("host", "")
    if not _is_own_name(_without_port(host)):
        return f"Host: {host[:80]!r} is no name or address of this machine"
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return f"Origin: {origin[:80]!r} is another site's"
    site = request.headers.get("sec-fetch-site", "none")
    if site not in {"same-origin", "none"}:
        return f"Sec-Fetch-Site: {site[:80]!r} is another site's"
    return None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _is_own_name(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class Query:
    """The query of a request, with errors that name the field."""

    def __init__(self, request: Request) -> None:
        text = request.scope["query_string"].decode("latin-1")
        self._values = parse_qs(text, keep_blank_values=True)

    def check(self, names: Collection[str]) -> None:
        """Raise Refused when there is any other name."""
        for name in self._values:
            if name not in names:
                known = ", ".join(names) or "those there are: it takes none"
                raise Refused(400, f"{name[:80]}: is none of {known}")

    def text(self, name: str) -> str | None:
        """Return a text, or None."""
        return self._values[name][-1] if name in self._values else None

    def whole(self, name: str, lowest: int, highest: int, default: Any) -> Any:
        """Return a whole number; raise Refused when it is none of those allowed."""
        text = self.text(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 16:
            raise Refused(400, f"{name}: {text[:80]!r} is no whole number")
        if not lowest <= int(text) <= highest:
            raise Refused(400, f"{name}: {text} is outside {lowest}..{highest}")
        return int(text)

    def flag(self, name: str) -> bool | None:
        """Return true or false, or None when not given."""
        text = self.text(name)
        if text in {None, "true", "false"}:
            return None if text is None else text == "true"
        raise Refused(400, f"{name}: {text!r} is neither true nor false")


async def members_of(request: Request) -> dict[str, Any]:
    """Return the members of a request's JSON body.

    Raises:
        Refused: There is no such body.
    """
    try:
        body = await read_body(request.receive, BODY_LIMIT_BYTES)
        found = json.loads(body or b"{}")
    except BodyTooLong as error:
        raise Refused(400, f"body: has {error}") from error
    except BodyCutOff as error:
        raise Refused(400, f"body: {error}") from error
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"body: is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Refused(400, "body: is no JSON object")
    for name, value in found.items():
        try:
            json.dumps({name: value}, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            # JSON can write half of a surrogate pair; no text can be sent with one.
            raise Refused(400, f"{name!a}: has a surrogate in its text") from error
    return found


def clock_to_json(clock: Clock) -> dict[str, Any]:
    """Return what is told of the clock."""
    return {
        "now": round(clock.now, 3),
        "speed": clock.speed,
        "paused": clock.is_paused,
    }


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
