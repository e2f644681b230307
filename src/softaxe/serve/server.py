"""The device's HTTP server: routes, access, and nothing that a view or setting does.

Source of routes and answers: ESP-Miner http_server.c, v2.12.2.
"""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import TypeAlias
from urllib.parse import parse_qs

import msgspec
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from softaxe import __version__
from softaxe.api import cjson, openapi, views
from softaxe.device.device import Device
from softaxe.device.profile import Profile
from softaxe.errors import SettingError, StorageError
from softaxe.serve import log_stream
from softaxe.serve.answers import (
    CONNECTION_CLOSE,
    FULL_CORS,
    NO_CORS,
    THEME_CORS,
    UNAUTHORIZED,
    Answer,
    BodyCutOff,
    BodyTooLong,
    HeaderName,
    Headers,
    body_source,
    header,
    is_client_allowed,
    read_body,
    read_start,
)
from softaxe.serve.host import Host
from softaxe.serve.static_files import (
    RECOVERY_PAGE,
    file_answer,
    files_of,
    target_of,
)
from softaxe.serve.updates import Updates

PATCH_LIMIT_BYTES = 10240
"""Bodies of this length and more are refused. Source: ESP-Miner http_server.c."""
THEME_READ_BYTES = 1023
"""What the firmware reads of a theme. Source: ESP-Miner theme_api.c."""
MAX_TARGET_BYTES = 2048
"""Of a request's target. Source: CONFIG_HTTPD_MAX_URI_LEN."""

JSON = b"application/json"
TEXT = b"text/plain"
METHOD_REFUSED = Answer(b"Specified method is invalid for this resource", status=405)
TARGET_TOO_LONG = Answer(b"URI is too long", status=414)
TOO_LONG = Answer(b"content too long", status=500)
NOT_RECEIVED = Answer(b"Failed to post control value", status=500)
THEME_NOT_RECEIVED = Answer(b"Failed to read request", status=500)
INVALID_JSON = Answer(b"Invalid JSON", status=400)
WRONG_INPUT = Answer(b"Wrong API input", status=400)
NO_UPGRADE = Answer(b"This resource speaks WebSocket only", status=400)
EMPTY = Answer()
PATCHED = Answer(b"{}", content_type=JSON)
PATCHED_AS_FIRMWARE = Answer(is_chunked=True)
AWAY_S = 0.02
"""Between two looks whether a device that is away is back."""
UNKNOWN_ROUTE = Answer(views.error_body("unknown route"), status=404, content_type=JSON)
THEME_STORED = Answer(b'{"status":"ok"}')
RESTARTING = "System will restart shortly."
HI = 'The device says "Hi!" for 30 seconds.'
NO_HI = 'The device no longer says "Hi!".'

Respond: TypeAlias = Callable[["Server", Scope, Receive], Awaitable[Answer]]
UNMATCHED = "softaxe.unmatched"
"""In a scope: no route and no page was meant by the request."""
_SERVER = "softaxe.server"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers at one route: an ASGI application that checks access first.

    Endpoints are made once for all devices; the scope tells whose request it is.
    """

    respond: Respond
    is_checked: bool = True
    cors: Headers = NO_CORS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        server: Server = scope[_SERVER]
        host = server.host
        if self.is_checked and not is_client_allowed(scope, host.device):
            await UNAUTHORIZED.send_to(send)
            return
        try:
            answer = await self.respond(server, scope, receive)
        except StorageError as error:
            answer = Answer(str(error).encode(), status=500)
        # A device that has just been reset says nothing more: the port is about to
        # close, and that ends this wait.
        while not host.device.is_on_network:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(AWAY_S)
        await answer.send_to(send, self.cors)


class Server:
    """Serves one device; an ASGI application."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.updates = Updates(host)
        self._changing = asyncio.Lock()
        self._log_stream = log_stream.LogStream(host)
        self._info: tuple[object, bytes] = (None, b"")
        self._life = token_hex(4)
        """Tells boots of this device from those of an earlier process."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        # The firmware compares paths as they are sent, without percent-decoding.
        raw_path: bytes = scope["raw_path"]
        path = scope["path"] = raw_path.decode("latin-1")
        scope[_SERVER] = self
        if not self.host.device.radio.is_connected:
            device = self.host.sync()
            device.note_request(device.now)
        if scope["type"] == "websocket":
            scope[UNMATCHED] = path != log_stream.PATH
            await self._log_stream(scope, receive, send)
        elif len(path) + len(scope["query_string"]) > MAX_TARGET_BYTES:
            await TARGET_TOO_LONG.send_to(send)
        elif scope["method"] == "GET" and path in HOT:
            # The answers that are asked for most go past the router.
            await HOT[path](scope, receive, send)
        else:
            await _router(self.host.profile)(scope, receive, send)

    # Reading

    async def get_info(self, _scope: Scope, _receive: Receive) -> Answer:
        """GET /api/system/info."""
        device = self.host.sync()
        key = (device, device.revision, int(device.uptime_s))
        if self._info[0] != key:
            self._info = key, views.info_body(device)
        return Answer(self._info[1], content_type=JSON)

    async def statistics(self, scope: Scope, _receive: Receive) -> Answer:
        """GET /api/system/statistics."""
        query: bytes = scope["query_string"]
        body = views.statistics_body(self.host.sync(), query.decode("latin-1"))
        return Answer(body, content_type=JSON)

    async def scan(self, _scope: Scope, _receive: Receive) -> Answer:
        """GET /api/system/wifi/scan."""
        return Answer(views.scan_body(self.host.sync()), content_type=JSON)

    async def get_theme(self, _scope: Scope, _receive: Receive) -> Answer:
        """GET /api/theme."""
        return Answer(views.theme_body(self.host.sync()), content_type=JSON)

    async def openapi(self, _scope: Scope, _receive: Receive) -> Answer:
        """GET /openapi.json."""
        document = openapi.document(self.host.device)
        return Answer(json.dumps(document).encode(), content_type=JSON)

    async def status(self, _scope: Scope, _receive: Receive) -> Answer:
        """GET /softaxe/status.json."""
        device = self.host.sync()
        status = {
            "softaxe": __version__,
            "work": self.host.work_mode_name,
            "speed": self.host.speed,
            "boot": f"{self._life}-{device.booted_at:.3f}",
            "pool": self.host.pool_text,
            **views.status(device),
        }
        return Answer(msgspec.json.encode(status), content_type=JSON)

    async def screen(self, scope: Scope, _receive: Receive) -> Answer:
        """GET /softaxe/screen.png."""
        # Pillow is only loaded for those who look.
        from softaxe.screen import picture  # noqa: PLC0415
        from softaxe.serve import screen_png  # noqa: PLC0415

        device = self.host.sync()
        panel = picture.panel_of(device)
        if panel is None:
            text = f"display: {device.display.panel_name} shows nothing"
            return Answer(views.error_body(text), status=404, content_type=JSON)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        scale = query.get("scale", ["4"])[-1]
        if scale not in map(str, range(1, screen_png.MAX_SCALE + 1)):
            text = f"scale: {scale!r} is outside 1..{screen_png.MAX_SCALE}"
            return Answer(views.error_body(text), status=400, content_type=JSON)
        image = picture.draw(device, panel, device.now)
        body = await asyncio.to_thread(screen_png.png, image, int(scale))
        answer = Answer(body, content_type=b"image/png")
        return answer.with_headers(((HeaderName(b"Cache-Control"), b"no-store"),))

    async def settings(self, _scope: Scope, _receive: Receive) -> Answer:
        """GET /softaxe/settings.json."""
        rules = views.setting_rules(self.host.sync())
        return Answer(msgspec.json.encode(rules), content_type=JSON)

    async def page(self, scope: Scope, _receive: Receive) -> Answer:
        """GET of anything that is no route."""
        device = self.host.device
        if not device.is_www_broken:
            answer = file_answer(files_of(device), target_of(scope))
            scope[UNMATCHED] = answer.status == 302
            return answer
        # Unlike files, the recovery page is only for those who may use the API.
        return RECOVERY_PAGE if is_client_allowed(scope, device) else UNAUTHORIZED

    async def unknown_api(self, scope: Scope, _receive: Receive) -> Answer:
        """Anything else under /api."""
        if self.host.device.is_www_broken and scope["method"] == "GET":
            return RECOVERY_PAGE
        scope[UNMATCHED] = True
        return UNKNOWN_ROUTE

    # Changing

    async def patch(self, scope: Scope, receive: Receive) -> Answer:
        """PATCH /api/system."""
        device = self.host.device
        profile = device.profile
        if _declared_length(scope) >= PATCH_LIMIT_BYTES:
            return TOO_LONG
        body = await read_patch_body(body_source(scope, receive, device))
        if isinstance(body, Answer):
            return body
        try:
            members = cjson.parse(body)
        except ValueError as error:
            text = f"Invalid JSON: {error}"
            return bad_request(text) if profile.patch_errors_explained else INVALID_JSON
        async with self._changing:
            device = self.host.sync()
            try:
                device.patch(members, device.now)
            except SettingError as error:
                is_told = profile.patch_errors_explained
                return bad_request(str(error)) if is_told else WRONG_INPUT
            await self.host.commit()
        return PATCHED if profile.patch_answers_json else PATCHED_AS_FIRMWARE

    async def post_theme(self, scope: Scope, receive: Receive) -> Answer:
        """POST /api/theme."""
        try:
            source = body_source(scope, receive, self.host.device)
            body = await read_start(source, THEME_READ_BYTES)
        except BodyCutOff:
            return THEME_NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))
        if not body:
            return THEME_NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))
        try:
            parsed = cjson.parse(body)
        except ValueError:
            return INVALID_JSON.with_headers((CONNECTION_CLOSE,))
        # As in cJSON, case does not matter and the first of equal names counts.
        members = {name.lower(): value for name, value in reversed(parsed)}
        scheme, colors = members.get("colorscheme"), members.get("accentcolors")
        async with self._changing:
            device = self.host.sync()
            device.set_theme(
                scheme if isinstance(scheme, str) else None,
                None if colors is None else json.dumps(colors),
                device.now,
            )
            await self.host.commit()
        return THEME_STORED

    async def restart(self, _scope: Scope, _receive: Receive) -> Answer:
        """POST /api/system/restart."""
        device = self.host.sync()
        device.restart(device.now)
        return self._action(RESTARTING)

    async def identify(self, _scope: Scope, _receive: Receive) -> Answer:
        """POST /api/system/identify."""
        device = self.host.sync()
        return self._action(HI if device.identify(device.now) else NO_HI)

    def _action(self, text: str) -> Answer:
        if self.host.device.profile.actions_answer_json:
            return Answer(views.message_body(text), content_type=JSON)
        return Answer(text.encode(), content_type=TEXT)


def bad_request(text: str) -> Answer:
    """Answer a refusal as the API page promises it."""
    return Answer(views.error_body(text), status=400, content_type=JSON)


async def read_patch_body(source: Receive) -> bytes | Answer:
    """Read the body of a PATCH; when that fails, return what the client is told."""
    try:
        return await read_body(source, PATCH_LIMIT_BYTES)
    except BodyTooLong:
        return TOO_LONG.with_headers((CONNECTION_CLOSE,))
    except BodyCutOff:
        return NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))


def _declared_length(scope: Scope) -> int:
    text = header(scope, b"content-length") or "0"
    return int(text) if text.isascii() and text.isdigit() else PATCH_LIMIT_BYTES


def _always(answer: Answer) -> Respond:
    async def respond(_server: Server, _scope: Scope, _receive: Receive) -> Answer:
        return answer

    return respond


def _view(view: Callable[[Device], bytes]) -> Endpoint:
    async def respond(server: Server, _scope: Scope, _receive: Receive) -> Answer:
        return Answer(view(server.host.sync()), content_type=JSON)

    return Endpoint(respond, cors=FULL_CORS)


async def _take_firmware(server: Server, scope: Scope, receive: Receive) -> Answer:
    return await server.updates.firmware(scope, receive)


async def _take_www(server: Server, scope: Scope, receive: Receive) -> Answer:
    return await server.updates.www(scope, receive)


async def _refuse_method(_server: Server, scope: Scope, _receive: Receive) -> Answer:
    scope[UNMATCHED] = True
    return METHOD_REFUSED.with_headers((CONNECTION_CLOSE,))


HOT: Mapping[str, Endpoint] = {
    "/api/system/info": Endpoint(Server.get_info, cors=FULL_CORS),
    "/api/system/asic": _view(views.asic_body),
}
"""Asked for by every client every few seconds."""


@functools.cache
def _router(profile: Profile) -> Router:
    """The firmware's table: the first match of path and method wins."""
    preflight = _always(EMPTY)
    theme = "/api/theme"
    scan = Endpoint(Server.scan, is_checked=profile.scan_access_checked)
    routes = [
        _route("GET", "/recovery", Endpoint(_always(RECOVERY_PAGE))),
        _route("GET", theme, _for_all(Server.get_theme)),
        _route("POST", theme, _for_all(Server.post_theme)),
        _route("OPTIONS", theme, _for_all(preflight)),
        *(_route("GET", path, endpoint) for path, endpoint in HOT.items()),
        _route("GET", "/api/system/statistics", _open(Server.statistics)),
        _route("GET", "/api/system/wifi/scan", scan),
        _route("POST", "/api/system/identify", _open(Server.identify)),
        _route("OPTIONS", "/api/system/identify", _open(preflight)),
        _route("POST", "/api/system/restart", _open(Server.restart)),
        _route("OPTIONS", "/api/system/restart", _open(preflight)),
        _route("PATCH", "/api/system", _open(Server.patch)),
        _route("OPTIONS", "/api/system", _open(preflight)),
        _route("POST", "/api/system/OTA", Endpoint(_take_firmware)),
        _route("POST", "/api/system/OTAWWW", Endpoint(_take_www)),
        _route("GET", "/api/ws", Endpoint(_always(NO_UPGRADE))),
    ]
    if profile.dashboard_exists:
        dashboard = _view(views.dashboard_body)
        routes.append(_route("GET", "/api/system/statistics/dashboard", dashboard))
    # softaxe's own, outside the device's API.
    routes += [
        _route("GET", "/openapi.json", Endpoint(Server.openapi)),
        _route("GET", "/softaxe/status.json", Endpoint(Server.status)),
        _route("GET", "/softaxe/screen.png", Endpoint(Server.screen)),
        _route("GET", "/softaxe/settings.json", Endpoint(Server.settings)),
    ]
    refuse = Endpoint(_refuse_method, is_checked=False)
    all_routes: list[BaseRoute] = [
        *routes,
        Route("/api/{path:path}", Endpoint(Server.unknown_api, cors=FULL_CORS)),
        _route("GET", "/{path:path}", Endpoint(Server.page, is_checked=False)),
        Route("/{path:path}", refuse),
    ]
    return Router(all_routes, redirect_slashes=False)


def _open(respond: Respond) -> Endpoint:
    return Endpoint(respond, cors=FULL_CORS)


def _for_all(respond: Respond) -> Endpoint:
    return Endpoint(respond, is_checked=False, cors=THEME_CORS)


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    route = Route(path, endpoint, methods=[method])
    # Starlette lets HEAD pass where GET does; the firmware does not.
    route.methods = {method}
    return route
