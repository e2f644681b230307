"""The device's HTTP server: routes, access, and nothing that a view or setting does.

Source of routes and answers: ESP-Miner http_server.c, of each release.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from functools import cache
from secrets import token_hex
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from softaxe import __version__, cjson
from softaxe.api import openapi, views
from softaxe.api.routes import routes_of
from softaxe.catalog.firmware import Firmware
from softaxe.device.device import BOOT_NOT_SET, Device
from softaxe.device.load import REQUEST_S
from softaxe.device.patch import Patch, check_url
from softaxe.device.pool_slots import SLOTS, check_pool
from softaxe.device.profile import Profile
from softaxe.errors import PatchRefused, SettingError, StorageError, UpdateRefused
from softaxe.json_values import JsonValue
from softaxe.serve.access import is_client_allowed
from softaxe.serve.answers import (
    CONNECTION_CLOSE,
    FULL_CORS,
    NO_CORS,
    THEME_CORS,
    UNAUTHORIZED,
    Answer,
    Headers,
)
from softaxe.serve.host import Host
from softaxe.serve.request import (
    Body,
    BodyCutOff,
    BodyTooLong,
    Reply,
    Request,
    read_body,
    read_piece,
    read_start,
    reply_of,
)
from softaxe.serve.static_files import (
    RECOVERY_PAGE,
    RECOVERY_PAGE_BESIDE_OWN,
    page_answer,
)
from softaxe.serve.streams import Streams
from softaxe.serve.updates import Updates, body_of, reads_chunks
from softaxe.units import Level

PATCH_LIMIT_BYTES = 10240
"""Bodies of this length and more are refused. Source: ESP-Miner http_server.c."""
THEME_READ_BYTES = 1023
"""What the firmware reads of a theme. Source: ESP-Miner theme_api.c."""
BOOT_READ_BYTES = 1023
"""What is read of a request for another partition; an estimate."""
MAX_TARGET_BYTES = 2048
"""Of a request's target. Source: CONFIG_HTTPD_MAX_URI_LEN."""

JSON = b"application/json"
PLAIN = b"text/plain; charset=utf-8"
METHOD_REFUSED = Answer(
    b"Specified method is invalid for this resource",
    status=405,
    headers=(CONNECTION_CLOSE,),
    is_unmatched=True,
)
TARGET_TOO_LONG = Answer(b"URI is too long", status=414)
TOO_LONG = Answer(b"content too long", status=500)
NOT_RECEIVED = Answer(b"Failed to post control value", status=500)
THEME_NOT_RECEIVED = Answer(b"Failed to read request", status=500)
INVALID_JSON = Answer(b"Invalid JSON", status=400)
INVALID_POOL_INDEX = Answer(b"Invalid pool index", status=400)
INVALID_LENGTH = Answer(b"Invalid request length", status=400)
INVALID_POOL = Answer(b"Invalid pool configuration payload", status=400)
POOL_SELECTED = Answer(
    b"Cannot delete a pool that is currently selected as primary or fallback",
    status=400,
)
POOL_NOT_RECEIVED = Answer(b"Failed to receive request data", status=500)
POOL_UPDATED = "Pool updated successfully"
POOL_CLEARED = "Pool cleared successfully"
WRONG_INPUT = Answer(b"Wrong API input", status=400)
NO_UPGRADE = Answer(b"This resource speaks WebSocket only", status=400)
EMPTY = Answer()
PATCHED = Answer(b"{}", content_type=JSON, differs=("patch_answers_json",))
PATCHED_AS_FIRMWARE = Answer(is_chunked=True)
SCAN_LOOK_S = 0.05
"""Real seconds at most between two looks whether a scan is over: time may jump."""
AWAY_S = 0.02
"""Between two looks whether a device that is away is back."""
UNKNOWN_ROUTE = {
    is_compact: Answer(
        views.error_body("unknown route", is_compact=is_compact),
        status=404,
        content_type=JSON,
        is_unmatched=True,
    )
    for is_compact in (False, True)
}
"""By whether JSON is compact."""
THEME_STORED = Answer(b'{"status":"ok"}')
PIECES_A_TURN = 64
"""Of an answer in small pieces: so many leave before others have their turn."""
LOG_LINES = 1000
"""The page keeps no more."""
SMALL_SCALE = 2
"""Pixels for a dot where all pages of the screen are shown at once."""
LOGS_HEADERS = ((b"Content-Disposition", b'attachment; filename="bitaxe-logs.txt"'),)
BOOT_NOT_RECEIVED = Answer(b"Empty request body", status=400)
NO_PARTITION_LABEL = Answer(b"Missing partition label", status=400)
BOOTING = "Next boot partition set successfully. Rebooting..."
RESTARTING = "System will restart shortly."
PAUSED = "Mining paused"
RESUMED = "Mining resumed"
HI = 'The device says "Hi!" for 30 seconds.'
NO_HI = 'The device no longer says "Hi!".'

Found: TypeAlias = Answer | Coroutine[Any, Any, Answer]
Respond: TypeAlias = Callable[["Server", Request], Found]


class Endpoint(Struct, frozen=True):
    """What answers at one route, once access was checked.

    Endpoints are made once for all devices.
    """

    respond: Respond
    is_checked: bool = True
    cors: Headers = NO_CORS

    def answer(
        self, server: "Server", request: Request
    ) -> Answer | Coroutine[Any, Any, Answer | None]:
        """Answer one request; at once, if nothing is to be waited for."""
        device, networks = server.host.device, server.host.networks
        if self.is_checked and not is_client_allowed(request, device, networks):
            return UNAUTHORIZED
        try:
            found = self.respond(server, request)
        except StorageError as error:
            found = _not_stored(error)
        differs = ("chunked_bodies_read",) if reads_chunks(request, device) else ()
        if isinstance(found, Answer) and server.host.device.is_on_network:
            return found.with_headers(self.cors).differing(*differs)
        return self._finish(server.host, found, differs)

    async def _finish(
        self, host: Host, found: Found, differs: tuple[str, ...]
    ) -> Answer | None:
        try:
            answer = found if isinstance(found, Answer) else await found
        except StorageError as error:
            answer = _not_stored(error)
        if host.device.is_on_network:
            return answer.with_headers(self.cors).differing(*differs)
        # A device that has just been reset says nothing more, not even when it is back:
        # the port is about to close, and that ends this wait.
        while not host.device.is_on_network:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(AWAY_S)
        return None


def _not_stored(error: StorageError) -> Answer:
    return Answer(str(error).encode(), status=500)


class Server:
    """Serves one device: an app for its port."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.updates = Updates(host)
        self._changing = asyncio.Lock()
        self._scanning = asyncio.Lock()
        self._streams = Streams(host)
        self._info = views.Info()
        self._info_told: tuple[object, Answer] = (None, EMPTY)
        self._routes: tuple[Firmware | None, Routes] = (None, Routes({}, ()))
        self._life = token_hex(4)
        """Tells boots of this device from those of an earlier process."""

    def __call__(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        """Serve one request or WebSocket."""
        profile = self.host.device.profile
        if self._scanning.locked() and not profile.scan_blocks_nothing:
            return self._after_scan(request)
        return self._respond(request)

    async def _after_scan(self, request: Request) -> Reply:
        async with self._scanning:  # nobody is let in before its turn
            pass
        return await reply_of(self._respond(request))

    def _respond(self, request: Request) -> Reply | Coroutine[Any, Any, Reply]:
        if not self.host.device.radio.is_connected:
            device = self.host.sync()
            device.note_request(device.now)
        if (load := self.host.device.load) is not None:
            load.count(REQUEST_S)
        path = request.path
        if request.is_websocket and self._streams.has(path):
            return self._streams(request)
        if len(path) + len(request.query) > MAX_TARGET_BYTES:
            return TARGET_TOO_LONG
        firmware = self.host.device.firmware
        if self._routes[0] is not firmware:
            self._routes = firmware, routes_in(firmware, self.host.device.profile)
        routes = self._routes[1]
        endpoint = routes.exact.get((request.method, path))
        if endpoint is None:
            endpoint = routes.elsewhere(
                request.method, path, is_recovering=self.host.device.is_in_recovery
            )
        return endpoint.answer(self, request)

    # Reading

    def get_info(self, _request: Request) -> Answer:
        """GET /api/system/info."""
        device = self.host.sync()
        key = (device, device.revision, int(device.uptime_s))
        if self._info_told[0] != key:
            body = self._info.body(device)
            answer = Answer(body, content_type=JSON, headers=FULL_CORS)
            self._info_told = key, answer.differing(*views.info_that_differs(device))
        return self._info_told[1]

    def statistics(self, request: Request) -> Answer:
        """GET /api/system/statistics."""
        device = self.host.sync()
        body = views.statistics_body(device, request.query)
        differs = views.columns_that_differ(
            request.query, device.firmware, device.profile
        )
        return Answer(body, content_type=JSON).differing(*differs)

    def logs(self, _request: Request) -> Answer:
        """GET /api/system/logs."""
        ring = self.host.sync().log.ring
        assert ring is not None, "a release that has this route keeps its log"
        return Answer(
            ring.whole,
            content_type=b"text/plain",
            headers=LOGS_HEADERS,
            is_chunked=True,
            pieces=_in_turns(ring.pieces()),
        )

    async def scan(self, _request: Request) -> Answer:
        """GET /api/system/wifi/scan.

        It takes some of the device's time; while that stands still, none.
        """
        host = self.host
        async with self._scanning:
            device = host.sync()
            due, booted_at = device.now + device.radio.scan_s, device.booted_at
            while not host.is_scan_quick and host.speed > 0:
                device = host.sync()
                if device.now >= due or device.booted_at != booted_at:
                    break
                left_s = (due - device.now) / host.speed
                await asyncio.sleep(min(left_s, SCAN_LOOK_S))
        return Answer(views.scan_body(host.sync()), content_type=JSON)

    def get_theme(self, _request: Request) -> Answer:
        """GET /api/theme."""
        return Answer(views.theme_body(self.host.sync()), content_type=JSON)

    def openapi(self, _request: Request) -> Answer:
        """GET /openapi.json."""
        document = openapi.document(self.host.device)
        return Answer(json.dumps(document).encode(), content_type=JSON)

    def status(self, _request: Request) -> Answer:
        """GET /softaxe/status.json."""
        device = self.host.sync()
        status = {
            "softaxe": __version__,
            "seed": self.host.fleet_seed,
            "fleetPage": self.host.fleet_page,
            "boot": f"{self._life}-{device.booted_at:.3f}",
            **status_of(self.host),
        }
        return Answer(msgspec.json.encode(status), content_type=JSON)

    async def screen(self, request: Request) -> Answer:
        """GET /softaxe/screen.png."""
        # Pillow is only loaded for those who look.
        from softaxe.screen import picture  # noqa: PLC0415
        from softaxe.serve import screen_png  # noqa: PLC0415

        device = self.host.sync()
        panel = picture.panel_of(device)
        if panel is None:
            return no_picture(device)
        query = parse_qs(request.query)
        scale = query.get("scale", ["4"])[-1]
        if scale not in map(str, range(1, screen_png.MAX_SCALE + 1)):
            text = f"scale: {scale!r} is outside 1..{screen_png.MAX_SCALE}"
            return Answer(views.error_body(text), status=400, content_type=JSON)
        image = picture.draw(device, panel, device.now)
        body = await asyncio.to_thread(screen_png.png, image, int(scale))
        answer = Answer(body, content_type=b"image/png")
        return answer.with_headers(((b"Cache-Control", b"no-store"),))

    async def screens(self, _request: Request) -> Answer:
        """GET /softaxe/screens.json."""
        from softaxe.screen import pages, picture  # noqa: PLC0415 - as above
        from softaxe.serve import screen_png  # noqa: PLC0415

        device = self.host.sync()
        panel = picture.panel_of(device)
        if panel is None:
            return no_picture(device)
        shown, drawn = pages.shown_page(device, device.now), {}
        for page in device.display.pages:
            content = pages.page_content(device, page)
            drawn[page.name.lower()] = picture.draw(device, panel, device.now, content)

        def encoded() -> bytes:
            told = {
                "shown": shown and shown.name.lower(),
                "pages": [
                    {"name": name, "png": screen_png.png(image, SMALL_SCALE)}
                    for name, image in drawn.items()
                ],
            }
            return msgspec.json.encode(told)

        body = await asyncio.to_thread(encoded)
        return Answer(body, content_type=JSON)

    def log(self, _request: Request) -> Answer:
        """GET /softaxe/log.txt."""
        lines = self.host.sync().log.last(LOG_LINES)
        return Answer(lines.encode("utf-8", "replace"), content_type=PLAIN)

    def press(self, _request: Request) -> Answer:
        """POST /softaxe/button/short."""
        return self._press(is_long=False)

    def press_long(self, _request: Request) -> Answer:
        """POST /softaxe/button/long."""
        return self._press(is_long=True)

    def _press(self, *, is_long: bool) -> Answer:
        device = self.host.sync()
        device.press_button(device.now, is_long=is_long)
        self.host.sync()
        return Answer(b"{}", content_type=JSON)

    def settings(self, _request: Request) -> Answer:
        """GET /softaxe/settings.json."""
        rules = views.setting_rules(self.host.sync())
        return Answer(msgspec.json.encode(rules), content_type=JSON)

    def recovery(self, _request: Request) -> Answer:
        """GET /recovery."""
        has_own = self.host.device.firmware.rows.embeds_page
        return RECOVERY_PAGE_BESIDE_OWN if has_own else RECOVERY_PAGE

    def page(self, request: Request) -> Answer:
        """GET of anything that is no route."""
        device = self.host.device
        if not device.is_in_recovery:
            return page_answer(device, request.target)
        # Unlike files, the recovery page is only for those who may use the API.
        if not is_client_allowed(request, device, self.host.networks):
            return UNAUTHORIZED
        return RECOVERY_PAGE

    def unknown_api(self, _request: Request) -> Answer:
        """Anything else under /api."""
        return UNKNOWN_ROUTE[self.host.device.firmware.rows.is_compact]

    # Changing

    async def patch(self, request: Request) -> Answer:
        """PATCH /api/system."""
        device = self.host.device
        profile, is_compact = device.profile, device.firmware.rows.is_compact
        if _declared_length(request) >= PATCH_LIMIT_BYTES:
            return TOO_LONG
        body = await read_patch_body(body_of(request, device))
        if isinstance(body, Answer):
            return body
        try:
            members = cjson.parse(body)
        except ValueError as error:
            text = f"Invalid JSON: {error}"
            if not profile.patch_errors_explained:
                return INVALID_JSON
            refusal = bad_request(text, is_compact=is_compact)
            return refusal.differing("patch_errors_explained")
        async with self._changing:
            device = self.host.sync()
            try:
                host_name = await self._host_name(device, members)
                device, before = self.host.sync(), device.settings.hostname
                patch = device.patch(members, device.now, host_name=host_name)
            except PatchRefused as error:
                if not profile.patch_errors_explained:
                    return WRONG_INPUT
                refusal = bad_request(str(error), is_compact=is_compact)
                return refusal.differing(*error.differs)
            await self.host.commit()
        is_renamed = host_name is not None and host_name != before
        redirect = views.redirect(host_name) if is_renamed else {}
        if profile.patch_answers_json:
            return patched(patch, redirect, is_compact=is_compact)
        if not redirect:
            return PATCHED_AS_FIRMWARE
        return Answer(views.patched_body(redirect, is_compact=is_compact))

    async def _host_name(
        self, device: Device, members: list[tuple[str, JsonValue]]
    ) -> str | None:
        """Return the host name that a PATCH leads to, where it holds at once.

        None where there is nothing to be asked on the network.
        """
        if device.firmware.rows.hostname_change != "live with redirect":
            return None
        wanted = device.judge(members).changes.get("hostname")
        return (
            await self.host.host_name_for(wanted) if isinstance(wanted, str) else None
        )

    async def put_pool(self, request: Request) -> Answer:
        """PUT /api/system/pools/<number>."""
        device = self.host.device
        number = slot_number(request)
        if not 0 <= number < SLOTS:
            return INVALID_POOL_INDEX
        if _declared_length(request) >= PATCH_LIMIT_BYTES:
            return INVALID_LENGTH
        try:
            source = body_of(request, device)
            if device.profile.slow_bodies_whole:
                body = await read_body(source, PATCH_LIMIT_BYTES)
            else:
                body = await read_piece(source)
        except BodyTooLong:
            return INVALID_LENGTH.with_headers((CONNECTION_CLOSE,))
        except BodyCutOff:
            return POOL_NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))
        if not body:
            return INVALID_LENGTH
        try:
            members = members_of(body)
        except ValueError:
            return INVALID_JSON
        async with self._changing:
            device = self.host.sync()
            rows = device.firmware.rows
            try:
                stored = device.settings.pools[number]
                slot = check_pool(members, stored)
                if slot.url != stored.url:
                    check_url("pool.stratumURL", slot.url, device.profile, rows)
            except SettingError as error:
                device.log(Level.WARNING, "http_server", str(error))
                differs = error.differs if isinstance(error, PatchRefused) else ()
                return INVALID_POOL.differing(*differs)
            device.set_pool(number, slot, device.now)
            await self.host.commit()
        return self._message(POOL_UPDATED)

    async def delete_pool(self, request: Request) -> Answer:
        """DELETE /api/system/pools/<number>."""
        number = slot_number(request)
        if not 0 <= number < SLOTS:
            return INVALID_POOL_INDEX
        async with self._changing:
            device = self.host.sync()
            settings = device.settings
            if number in {settings.primary_pool_index, settings.secondary_pool_index}:
                return POOL_SELECTED
            device.set_pool(number, None, device.now)
            await self.host.commit()
        return self._message(POOL_CLEARED)

    def _message(self, text: str) -> Answer:
        is_compact = self.host.device.firmware.rows.is_compact
        body = views.message_body(text, is_compact=is_compact)
        return Answer(body, content_type=JSON)

    async def post_theme(self, request: Request) -> Answer:
        """POST /api/theme."""
        try:
            source = body_of(request, self.host.device)
            body = await read_start(source, THEME_READ_BYTES)
        except BodyCutOff:
            return THEME_NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))
        if not body:
            return THEME_NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))
        try:
            members = members_of(body)
        except ValueError:
            return INVALID_JSON.with_headers((CONNECTION_CLOSE,))
        scheme, color = members.get("colorscheme"), members.get("primarycolor")
        colors = members.get("accentcolors")
        async with self._changing:
            device = self.host.sync()
            has_many = device.firmware.rows.theme_member == "accentColors"
            color_json = None if colors is None else json.dumps(colors)
            device.set_theme(
                device.now,
                scheme=scheme if isinstance(scheme, str) else None,
                colors_json=color_json if has_many else None,
                color=color if isinstance(color, str) and not has_many else None,
            )
            await self.host.commit()
        return THEME_STORED

    def restart(self, _request: Request) -> Answer:
        """POST /api/system/restart."""
        device = self.host.sync()
        device.restart(device.now)
        return self._action(RESTARTING)

    async def boot(self, request: Request) -> Answer:
        """POST /api/system/boot."""
        try:
            source = body_of(request, self.host.device)
            if self.host.device.profile.slow_bodies_whole:
                body = await read_start(source, BOOT_READ_BYTES)
            else:
                body = (await read_piece(source))[:BOOT_READ_BYTES]
        except BodyCutOff:
            return BOOT_NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))
        if not body:
            return BOOT_NOT_RECEIVED
        try:
            label = members_of(body).get("partition")
        except ValueError:
            return INVALID_JSON
        if not isinstance(label, str):
            return NO_PARTITION_LABEL
        async with self._changing:
            device = self.host.sync()
            try:
                device.boot_from(label, device.now)
            except UpdateRefused as error:
                status = 500 if str(error) == BOOT_NOT_SET else 400
                return Answer(str(error).encode(), status=status)
            await self.host.commit()
            device = self.host.sync()
            device.restart(device.now)
        return self._action(BOOTING)

    def identify(self, _request: Request) -> Answer:
        """POST /api/system/identify."""
        device = self.host.sync()
        answer = self._action(HI if device.identify(device.now) else NO_HI)
        return answer.differing("identify_exists")

    def pause(self, _request: Request) -> Answer:
        """POST /api/system/pause."""
        device = self.host.sync()
        device.set_paused(True, device.now)
        return self._action(PAUSED)

    def resume(self, _request: Request) -> Answer:
        """POST /api/system/resume."""
        device = self.host.sync()
        device.set_paused(False, device.now)
        return self._action(RESUMED)

    def dismiss_block(self, _request: Request) -> Answer:
        """POST /api/system/blockFound/dismiss."""
        device = self.host.sync()
        device.dismiss_block(device.now)
        return Answer(views.dismissed_body(device), content_type=JSON)

    def _action(self, text: str) -> Answer:
        device = self.host.device
        rows = device.firmware.rows
        if not device.profile.actions_answer_json:
            kind = rows.actions_answer.encode()
            return Answer(text.encode(), content_type=kind)
        body = views.message_body(text, is_compact=rows.is_compact)
        answer = Answer(body, content_type=JSON)
        return answer.differing("actions_answer_json")


def patched(
    patch: Patch,
    redirect: Mapping[str, object] = MappingProxyType({}),
    *,
    is_compact: bool = False,
) -> Answer:
    """Answer a PATCH that was taken, with what the API page has against it."""
    answer = PATCHED.differing(*patch.differs)
    if not patch.warnings and not redirect:
        return answer
    told = dict(redirect)
    if patch.warnings:
        told["warnings"] = list(patch.warnings)
    body = views.patched_body(told, is_compact=is_compact)
    return replace(answer, body=body, warnings=patch.warnings)


def status_of(host: Host) -> dict[str, object]:
    """Tell of a device, as it was last stepped, what its API does not."""
    return {
        "work": host.work_mode_name,
        "speed": host.speed,
        "reachedSpeed": host.reached_speed,
        "pool": host.pool_text,
        **views.status(host.device),
    }


def no_picture(device: Device) -> Answer:
    """Tell that a device's display shows nothing."""
    text = f"display: {device.display.panel_name} shows nothing"
    return Answer(views.error_body(text), status=404, content_type=JSON)


def bad_request(text: str, *, is_compact: bool = False) -> Answer:
    """Answer a refusal as the API page promises it."""
    body = views.error_body(text, is_compact=is_compact)
    return Answer(body, status=400, content_type=JSON)


async def read_patch_body(source: Body) -> bytes | Answer:
    """Read the body of a PATCH; when that fails, return what the client is told."""
    try:
        return await read_body(source, PATCH_LIMIT_BYTES)
    except BodyTooLong:
        return TOO_LONG.with_headers((CONNECTION_CLOSE,))
    except BodyCutOff:
        return NOT_RECEIVED.with_headers((CONNECTION_CLOSE,))


def _declared_length(request: Request) -> int:
    text = request.header(b"content-length") or "0"
    return int(text) if text.isascii() and text.isdigit() else PATCH_LIMIT_BYTES


def members_of(body: bytes) -> dict[str, JsonValue]:
    """Read an object as cJSON looks members up: without case, the first of equals.

    Raises:
        ValueError: It is not JSON.
    """
    return {name.lower(): value for name, value in reversed(cjson.parse(body))}


def slot_number(request: Request) -> int:
    """Read the number behind the last slash as C's `atoi` does: 0 where there is none.

    Source: ESP-Miner http_server.c.
    """
    match = re.match(r"[ \t]*([+-]?[0-9]{1,9})", request.target.rpartition("/")[2])
    return int(match[1]) if match else 0


def _always(answer: Answer) -> Respond:
    return lambda _server, _request: answer


async def _in_turns(pieces: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    for number, piece in enumerate(pieces, 1):
        yield piece
        if number % PIECES_A_TURN == 0:
            await asyncio.sleep(0)


def _view(view: Callable[[Device], bytes], *differs: str) -> Respond:
    def respond(server: Server, _request: Request) -> Answer:
        return Answer(view(server.host.sync()), content_type=JSON, differs=differs)

    return respond


_preflight = _always(EMPTY)
_HANDLERS: Mapping[tuple[str, str], Respond] = {
    ("GET", "/recovery"): Server.recovery,
    ("GET", "/api/theme"): Server.get_theme,
    ("POST", "/api/theme"): Server.post_theme,
    ("GET", "/api/system/info"): Server.get_info,
    ("GET", "/api/system/asic"): _view(views.asic_body),
    ("GET", "/api/system/statistics"): Server.statistics,
    ("GET", "/api/system/statistics/dashboard"): _view(
        views.dashboard_body, "dashboard_exists"
    ),
    ("GET", "/api/system/scoreboard"): _view(views.scoreboard_body),
    ("GET", "/api/system/logs"): Server.logs,
    ("GET", "/api/system/wifi/scan"): Server.scan,
    ("POST", "/api/system/identify"): Server.identify,
    ("POST", "/api/system/restart"): Server.restart,
    ("POST", "/api/system/pause"): Server.pause,
    ("POST", "/api/system/resume"): Server.resume,
    ("POST", "/api/system/blockFound/dismiss"): Server.dismiss_block,
    ("POST", "/api/system/boot"): Server.boot,
    ("PATCH", "/api/system"): Server.patch,
    ("PUT", "/api/system/pools/*"): Server.put_pool,
    ("DELETE", "/api/system/pools/*"): Server.delete_pool,
    ("POST", "/api/system/OTA"): lambda server, one: server.updates.firmware(one),
    ("POST", "/api/system/OTAWWW"): lambda server, one: server.updates.www(one),
    ("GET", "/api/ws"): _always(NO_UPGRADE),
    ("GET", "/api/ws/live"): _always(NO_UPGRADE),
    ("ANY", "/api/*"): Server.unknown_api,
    ("GET", "/*"): Server.page,
}
"""What answers at a route of whatever version; OPTIONS is answered by `_preflight`."""
_CORS: Mapping[str, Headers] = {
    "full": FULL_CORS,
    "theme": THEME_CORS,
    "none": NO_CORS,
}
_OWN_ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("GET", "/openapi.json"): Endpoint(Server.openapi),
    ("GET", "/softaxe/status.json"): Endpoint(Server.status),
    ("GET", "/softaxe/screen.png"): Endpoint(Server.screen),
    ("GET", "/softaxe/screens.json"): Endpoint(Server.screens),
    ("GET", "/softaxe/log.txt"): Endpoint(Server.log),
    ("POST", "/softaxe/button/short"): Endpoint(Server.press),
    ("POST", "/softaxe/button/long"): Endpoint(Server.press_long),
    ("GET", "/softaxe/settings.json"): Endpoint(Server.settings),
}
"""softaxe's own, outside the device's API."""
_REFUSE_METHOD = Endpoint(_always(METHOD_REFUSED), is_checked=False)
_ANY = "ANY"


class Routes(Struct, frozen=True):
    """A version's table of routes."""

    exact: Mapping[tuple[str, str], Endpoint]
    """By method and path."""
    wild: tuple[tuple[str, str, Endpoint], ...]
    """Method or `ANY`, what the path begins with, and what answers; the first counts.
    """

    def find(self, method: str, path: str) -> Endpoint:
        """Return what answers a request."""
        return self.exact.get((method, path)) or self.elsewhere(method, path)

    def elsewhere(
        self, method: str, path: str, *, is_recovering: bool = False
    ) -> Endpoint:
        """Return what answers where there is no route of this very path.

        Args:
            method: Of the request.
            path: Of the request.
            is_recovering: There is no page: what would be an unknown path of the API
                is one of the page.
        """
        for wanted, start, endpoint in self.wild:
            is_wanted = wanted == method or (wanted == _ANY and not is_recovering)
            if is_wanted and path.startswith(start):
                return endpoint
        return _REFUSE_METHOD


@cache
def routes_in(firmware: Firmware, profile: Profile) -> Routes:
    """Make the table of a version, in the order in which it looks routes up."""
    exact: dict[tuple[str, str], Endpoint] = dict(_OWN_ENDPOINTS)
    wild: list[tuple[str, str, Endpoint]] = []
    for route in routes_of(firmware, profile):
        respond = _respond_to(route.method, route.path)
        if respond is None:
            continue
        cors = _CORS[route.cors]
        endpoint = Endpoint(respond, is_checked=route.is_checked, cors=cors)
        if route.path.endswith("*"):
            wild.append((route.method, route.path[:-1], endpoint))
        else:
            exact[route.method, route.path] = endpoint
    return Routes(exact, tuple(wild))


def _respond_to(method: str, path: str) -> Respond | None:
    return _preflight if method == "OPTIONS" else _HANDLERS.get((method, path))
