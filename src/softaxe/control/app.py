"""The control API of a fleet: devices, faults, clock, journal, snapshots, metrics.

It has a port of its own and is no part of any device. Only a browser page of its own
address may use it, and only under a name of this machine: other sites' pages, and names
that others can point here, are refused.
"""

import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from importlib.resources import files
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from softaxe.control import document as control_document
from softaxe.errors import FleetStopped, SettingError, StorageError
from softaxe.fleet.clock import ADVANCES_S, SPEEDS, Clock, read_number
from softaxe.serve.answers import BodyCutOff, BodyTooLong, read_body

PREFIX = "/control"
BODY_LIMIT_BYTES = 64 << 10
MOST_ROWS = 100_000
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


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the API: what its document and its router are made of."""

    method: str
    path: str
    name: str
    """Of the method of `Control`."""
    help: str
    query: tuple[str, ...] = ()
    has_body: bool = False
    """Takes JSON, which `control_document` describes."""
    status: int = 200


OPERATIONS = (
    Operation("GET", "/control/health", "health", "Answers while the process lives."),
    Operation("GET", "/control/ready", "ready", "503 until every device is up."),
    Operation("GET", "/control/fleet", "fleet", "Totals of all devices."),
    Operation("GET", "/control/history", "history", "Totals over the last two hours."),
    Operation(
        "GET",
        "/control/devices",
        "devices",
        "The devices, one row each.",
        query=("group", "state", "offset", "limit"),
    ),
    Operation(
        "POST",
        "/control/devices",
        "add_devices",
        "Switch on more devices; the body is a group as in a fleet file.",
        has_body=True,
        status=201,
    ),
    Operation("GET", "/control/devices/{id}", "device", "One device with its info."),
    Operation(
        "DELETE", "/control/devices/{id}", "remove_device", "Switch a device off."
    ),
    Operation(
        "POST", "/control/devices/{id}/restart", "restart_device", "Restart a device."
    ),
    Operation("GET", "/control/faults", "faults", "The rules, and all effects."),
    Operation(
        "POST",
        "/control/faults",
        "add_fault",
        "Add a rule.",
        has_body=True,
        status=201,
    ),
    Operation("DELETE", "/control/faults", "clear_faults", "Remove all rules."),
    Operation("DELETE", "/control/faults/{id}", "remove_fault", "Remove a rule."),
    Operation("GET", "/control/clock", "clock", "Device time."),
    Operation(
        "PATCH",
        "/control/clock",
        "set_clock",
        "Pause, go on, or change the speed.",
        has_body=True,
    ),
    Operation(
        "POST",
        "/control/clock/advance",
        "advance",
        "Let device time pass at once; answers when everything has happened.",
        has_body=True,
    ),
    Operation(
        "GET",
        "/control/journal",
        "journal",
        "The latest requests clients made.",
        query=(
            "after",
            "device",
            "method",
            "path",
            "status",
            "unmatched",
            "limit",
        ),
    ),
    Operation("DELETE", "/control/journal", "clear_journal", "Forget the requests."),
    Operation("GET", "/control/snapshots", "snapshots", "What was snapped."),
    Operation(
        "POST",
        "/control/snapshots",
        "take_snapshot",
        "Keep the state of all devices under a name.",
        has_body=True,
        status=201,
    ),
    Operation(
        "POST",
        "/control/snapshots/{name}/restore",
        "restore",
        "Put the fleet and its clock back.",
    ),
    Operation(
        "DELETE", "/control/snapshots/{name}", "drop_snapshot", "Forget a snapshot."
    ),
    Operation(
        "POST",
        "/control/reset",
        "reset",
        "Start over as the fleet was described: nothing stored, no faults, no journal.",
    ),
    Operation("POST", "/control/shutdown", "shutdown", "End the process."),
    Operation("GET", "/control/openapi.json", "openapi", "This document."),
    Operation("GET", "/metrics", "metrics", "Prometheus metrics of the whole fleet."),
)


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
                Query(request).check(operation.query)
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


async def members_of(
    request: Request, names: Collection[str] | None = None
) -> dict[str, Any]:
    """Return the members of a request's JSON body.

    Args:
        request: Whose.
        names: Of the members there are; None when somebody else looks at them.

    Raises:
        Refused: There is no such body.
    """
    try:
        body = await read_body(request.receive, BODY_LIMIT_BYTES)
        members = json.loads(body or b"{}")
    except BodyTooLong as error:
        raise Refused(400, f"body: has {error}") from error
    except BodyCutOff as error:
        raise Refused(400, f"body: {error}") from error
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"body: is no JSON: {error}") from error
    if not isinstance(members, dict):
        raise Refused(400, "body: is no JSON object")
    for name, value in members.items():
        try:
            json.dumps({name: value}, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            # JSON can write half of a surrogate pair; no text can be sent with one.
            raise Refused(400, f"{name!a}: has a surrogate in its text") from error
        if names is not None and name not in names:
            raise Refused(400, f"{name}: is none of {', '.join(names)}")
    return members


async def seconds_of(request: Request) -> float:
    """Return how much time is to pass at once.

    Raises:
        Refused, SettingError: The body does not say so.
    """
    members = await members_of(request, ("seconds",))
    return read_number("seconds", members.get("seconds"), ADVANCES_S)


async def clock_change_of(request: Request) -> dict[str, Any]:
    """Return how the clock is to change: `speed` and `is_paused`, None for no change.

    Raises:
        Refused, SettingError: The body says what is not allowed.
    """
    members = await members_of(request, ("speed", "paused"))
    speed, is_paused = members.get("speed"), members.get("paused")
    if is_paused is not None and not isinstance(is_paused, bool):
        raise Refused(400, f"paused: {is_paused!r} is neither true nor false")
    if speed is not None:
        speed = read_number("speed", speed, SPEEDS)
    return {"speed": speed, "is_paused": is_paused}


def clock_to_json(clock: Clock) -> dict[str, Any]:
    """Return what is told of the clock."""
    return {
        "now": round(clock.now, 3),
        "speed": clock.speed,
        "paused": clock.is_paused,
    }


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


def document(url: str) -> dict[str, Any]:
    """Return the API's OpenAPI document."""
    return control_document.document(OPERATIONS, url)
