"""The device's HTTP server: routes, access, and nothing that a view or setting does.

Source of routes and answers: ESP-Miner http_server.c, v2.12.2.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qs

import msgspec
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from softaxe import __version__
from softaxe.api import cjson, openapi, views
from softaxe.device.device import Device
from softaxe.errors import SettingError, StorageError
from softaxe.shell.answers import (
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
)
from softaxe.shell.host import Host
from softaxe.shell.log_stream import LogStream
from softaxe.shell.static_files import (
    RECOVERY_PAGE,
    file_answer,
    files_of,
    target_of,
)
from softaxe.shell.updates import Updates

PATCH_LIMIT_BYTES = 10240
"""Bodies of this length and more are refused. Source: ESP-Miner http_server.c."""
THEME_LIMIT_BYTES = 1024
"""What the firmware reads of a theme, plus one. Source: ESP-Miner theme_api.c."""
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

Respond: TypeAlias = Callable[[Scope, Receive], Awaitable[Answer]]


def build_app(host: Host) -> ASGIApp:
    """Return the ASGI application that serves a host's device."""
    return Server(host)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers at one route: an ASGI application that checks access first."""

    host: Host
    respond: Respond
    is_checked: bool = True
    cors: Headers = NO_CORS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.is_checked and not is_client_allowed(scope, self.host.device):
            await UNAUTHORIZED.send_to(send)
            return
        try:
            answer = await self.respond(scope, receive)
        except StorageError as error:
            answer = Answer(str(error).encode(), status=500)
        # A device that has just been reset says nothing more: the port is about to
        # close, and that ends this wait.
        while not self.host.device.is_on_network:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(AWAY_S)
        await answer.send_to(send, self.cors)


class Server:
    """Serves one device; an ASGI application."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._changing = asyncio.Lock()
        self._log_stream = LogStream(host)
        self._info: tuple[object, bytes] = (None, b"")
        self._hot = {
            "/api/system/info": Endpoint(host, self._get_info, cors=FULL_CORS),
            "/api/system/asic": self._view(views.asic_body),
        }
        self._router = Router(self._routes(), redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        # The firmware compares paths as they are sent, without percent-decoding.
        raw_path: bytes = scope["raw_path"]
        path = scope["path"] = raw_path.decode("latin-1")
        if scope["type"] == "websocket":
            await self._log_stream(scope, receive, send)
        elif len(path) + len(scope["query_string"]) > MAX_TARGET_BYTES:
            await TARGET_TOO_LONG.send_to(send)
        elif scope["method"] == "GET" and path in self._hot:
            # The answers that are asked for most go past the router.
            await self._hot[path](scope, receive, send)
        else:
            await self._router(scope, receive, send)

    def _routes(self) -> list[BaseRoute]:
        """The firmware's table: the first match of path and method wins."""
        host, updates = self._host, Updates(self._host)
        profile = host.profile
        routes = [
            _route("GET", "/recovery", Endpoint(host, _recovery)),
            _route("GET", "/api/theme", self._theme(self._get_theme)),
            _route("POST", "/api/theme", self._theme(self._post_theme)),
            _route("OPTIONS", "/api/theme", self._theme(_preflight)),
            *(_route("GET", path, endpoint) for path, endpoint in self._hot.items()),
            _route("GET", "/api/system/statistics", self._open(self._statistics)),
            _route(
                "GET",
                "/api/system/wifi/scan",
                Endpoint(
                    host,
                    self._scan,
                    is_checked=profile.scan_access_checked,
                ),
            ),
            _route("POST", "/api/system/identify", self._open(self._identify)),
            _route("OPTIONS", "/api/system/identify", self._open(_preflight)),
            _route("POST", "/api/system/restart", self._open(self._restart)),
            _route("OPTIONS", "/api/system/restart", self._open(_preflight)),
            _route("PATCH", "/api/system", self._open(self._patch)),
            _route("OPTIONS", "/api/system", self._open(_preflight)),
            _route("POST", "/api/system/OTA", Endpoint(host, updates.firmware)),
            _route("POST", "/api/system/OTAWWW", Endpoint(host, updates.www)),
            _route("GET", "/api/ws", Endpoint(host, _no_upgrade)),
        ]
        if profile.dashboard_exists:
            dashboard = self._view(views.dashboard_body)
            routes.append(_route("GET", "/api/system/statistics/dashboard", dashboard))
        # softaxe's own, outside the device's API.
        routes += [
            _route("GET", "/openapi.json", Endpoint(host, self._openapi)),
            _route("GET", "/softaxe/status.json", Endpoint(host, self._status)),
            _route("GET", "/softaxe/screen.png", Endpoint(host, self._screen)),
            _route("GET", "/softaxe/settings.json", Endpoint(host, self._settings)),
        ]
        unknown = Endpoint(host, self._unknown_api, cors=FULL_CORS)
        page = Endpoint(host, self._page, is_checked=False)
        return [
            *routes,
            Route("/api/{path:path}", unknown),
            _route("GET", "/{path:path}", page),
            Route("/{path:path}", Endpoint(host, _refuse_method, is_checked=False)),
        ]

    # Kinds of endpoints

    def _open(self, respond: Respond) -> Endpoint:
        return Endpoint(self._host, respond, cors=FULL_CORS)

    def _theme(self, respond: Respond) -> Endpoint:
        return Endpoint(self._host, respond, is_checked=False, cors=THEME_CORS)

    def _view(self, view: Callable[[Device], bytes]) -> Endpoint:
        async def respond(_scope: Scope, _receive: Receive) -> Answer:
            return Answer(view(self._host.sync()), content_type=JSON)

        return self._open(respond)

    # Reading

    async def _get_info(self, _scope: Scope, _receive: Receive) -> Answer:
        device = self._host.sync()
        key = (device, device.revision, int(device.uptime_s))
        if self._info[0] != key:
            self._info = key, views.info_body(device)
        return Answer(self._info[1], content_type=JSON)

    async def _statistics(self, scope: Scope, _receive: Receive) -> Answer:
        query: bytes = scope["query_string"]
        body = views.statistics_body(self._host.sync(), query.decode("latin-1"))
        return Answer(body, content_type=JSON)

    async def _scan(self, _scope: Scope, _receive: Receive) -> Answer:
        return Answer(views.scan_body(self._host.sync()), content_type=JSON)

    async def _get_theme(self, _scope: Scope, _receive: Receive) -> Answer:
        return Answer(views.theme_body(self._host.sync()), content_type=JSON)

    async def _openapi(self, _scope: Scope, _receive: Receive) -> Answer:
        document = openapi.document(self._host.device)
        return Answer(json.dumps(document).encode(), content_type=JSON)

    async def _status(self, _scope: Scope, _receive: Receive) -> Answer:
        device = self._host.device
        status = {
            "softaxe": __version__,
            "work": self._host.work_mode_name,
            "pool": self._host.pool_text,
            "partitions": views.partitions(device),
            "chips": {
                "answering": device.driver.detected_count,
                "badReplies": device.driver.bad_frames,
                "badCommands": device.chain.bad_frames,
            },
        }
        return Answer(msgspec.json.encode(status), content_type=JSON)

    async def _screen(self, scope: Scope, _receive: Receive) -> Answer:
        # Pillow is only loaded for those who look.
        from softaxe.screen import picture  # noqa: PLC0415
        from softaxe.shell import screen_png  # noqa: PLC0415

        device = self._host.sync()
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

    async def _settings(self, _scope: Scope, _receive: Receive) -> Answer:
        rules = views.setting_rules(self._host.sync())
        return Answer(msgspec.json.encode(rules), content_type=JSON)

    async def _page(self, scope: Scope, _receive: Receive) -> Answer:
        device = self._host.device
        if not device.is_www_broken:
            return file_answer(files_of(device), target_of(scope))
        # Unlike files, the recovery page is only for those who may use the API.
        return RECOVERY_PAGE if is_client_allowed(scope, device) else UNAUTHORIZED

    async def _unknown_api(self, scope: Scope, _receive: Receive) -> Answer:
        if self._host.device.is_www_broken and scope["method"] == "GET":
            return RECOVERY_PAGE
        return UNKNOWN_ROUTE

    # Changing

    async def _patch(self, scope: Scope, receive: Receive) -> Answer:
        device = self._host.device
        profile = device.profile
        if _declared_length(scope) >= PATCH_LIMIT_BYTES:
            return TOO_LONG
        try:
            source = body_source(scope, receive, device)
            body = await read_body(source, PATCH_LIMIT_BYTES)
        except BodyTooLong:
            return TOO_LONG.with_headers((CONNECTION_CLOSE,))
        except BodyCutOff:
            return NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))
        try:
            members = cjson.parse(body)
        except ValueError as error:
            text = f"Invalid JSON: {error}"
            return _error(text) if profile.patch_errors_explained else INVALID_JSON
        async with self._changing:
            device = self._host.sync()
            try:
                device.patch(members, device.now)
            except SettingError as error:
                is_told = profile.patch_errors_explained
                return _error(str(error)) if is_told else WRONG_INPUT
            await self._host.commit()
        return PATCHED if profile.patch_answers_json else PATCHED_AS_FIRMWARE

    async def _post_theme(self, scope: Scope, receive: Receive) -> Answer:
        try:
            source = body_source(scope, receive, self._host.device)
            body = await read_body(source, THEME_LIMIT_BYTES)
        except (BodyTooLong, BodyCutOff):
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
            device = self._host.sync()
            device.set_theme(
                scheme if isinstance(scheme, str) else None,
                None if colors is None else json.dumps(colors),
                device.now,
            )
            await self._host.commit()
        return THEME_STORED

    async def _restart(self, _scope: Scope, _receive: Receive) -> Answer:
        device = self._host.sync()
        device.restart(device.now)
        return self._action(RESTARTING)

    async def _identify(self, _scope: Scope, _receive: Receive) -> Answer:
        device = self._host.sync()
        return self._action(HI if device.identify(device.now) else NO_HI)

    def _action(self, text: str) -> Answer:
        if self._host.device.profile.actions_answer_json:
            return Answer(views.message_body(text), content_type=JSON)
        return Answer(text.encode(), content_type=TEXT)


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    route = Route(path, endpoint, methods=[method])
    # Starlette lets HEAD pass where GET does; the firmware does not.
    route.methods = {method}
    return route


def _error(text: str) -> Answer:
    return Answer(views.error_body(text), status=400, content_type=JSON)


def _declared_length(scope: Scope) -> int:
    text = header(scope, b"content-length") or "0"
    return int(text) if text.isascii() and text.isdigit() else PATCH_LIMIT_BYTES


async def _preflight(_scope: Scope, _receive: Receive) -> Answer:
    return EMPTY


async def _recovery(_scope: Scope, _receive: Receive) -> Answer:
    return RECOVERY_PAGE


async def _no_upgrade(_scope: Scope, _receive: Receive) -> Answer:
    return NO_UPGRADE


async def _refuse_method(_scope: Scope, _receive: Receive) -> Answer:
    return METHOD_REFUSED.with_headers((CONNECTION_CLOSE,))
