"""The control API of a fleet: devices, faults, clock, journal, snapshots, metrics.

It has a port of its own and is no part of any device. Only a browser page of its own
address may use it, and only under an address, `localhost` or a name that was allowed:
other sites' pages, and names that others can point here, are refused.
"""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from hmac import compare_digest
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Struct, inspect

from softaxe.api.access import Networks, is_near, is_public_name
from softaxe.control.operations import OPERATIONS, Operation
from softaxe.description import members, read
from softaxe.errors import NotNow, NotThere, SettingError, StorageError
from softaxe.serve.answers import Answer
from softaxe.serve.request import BodyCutOff, BodyTooLong, Request, read_body
from softaxe.units import printable

Q = TypeVar("Q", bound=Struct)
BODY_LIMIT_BYTES = 64 << 10
MOST_DIGITS = 16
"""Of a number that follows a path."""
Handler = Callable[[Request], Awaitable[object]]
JSON = b"application/json"
FOR_ALL = frozenset({"/control/health", "/control/ready"})
"""Asked by who starts processes and has no token; they tell nothing else."""
WATCHED = FOR_ALL | {"/metrics"}
"""Asked by who watches processes, in a cluster by whatever name it knows them; so any
name will do that the public DNS does not answer."""
_PAGE = files("softaxe.control") / "static"
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript",
    ".css": b"text/css",
    ".svg": b"image/svg+xml",
    ".ico": b"image/x-icon",
}
PACKED_BYTES = 4096
"""Shorter answers go as they are."""
FAST = 1
"""Level of gzip: rows of devices come to a tenth already."""
_GZIP = (b"Content-Encoding", b"gzip")
_VARY = (b"Vary", b"Accept-Encoding")
_NO_FRAME = (b"X-Frame-Options", b"DENY")
"""Who clicks on the fleet's page sees that it is the fleet's page. A device's page may
be shown in a frame, as by Home Assistant."""
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
    """Routes the control API's requests, and serves its page: an app for its port.

    Args:
        handlers: Has a method for each operation, by its name.
        token: That every order must have; empty when none is asked for.
        hosts: Names under which it may be used, beside addresses and `localhost`; one
            that begins with a dot stands for all below it.
        networks: Whose clients may use it, beside this machine and private ones.
    """

    def __init__(
        self,
        handlers: object,
        token: str = "",
        *,
        hosts: Collection[str] = (),
        networks: Networks = (),
    ) -> None:
        self._handlers = handlers
        self._token = token.encode()
        self._hosts = frozenset(map(str.lower, hosts))
        self._networks = networks

    async def __call__(self, request: Request) -> Answer:
        """Serve one request."""
        refusal = refuse(request, self._hosts, self._networks)
        if refusal is not None:
            return _error(403, refusal)
        method = "GET" if request.method == "HEAD" else request.method
        parts = [unquote(part) for part in request.path.split("/")]
        for operation in OPERATIONS:
            params = _params_of(operation, parts)
            if operation.method == method and params is not None:
                request.path_params = params
                return await self._answer(operation, request)
        if method == "GET" and not request.is_websocket:
            return _page("/".join(parts)).with_headers((_NO_FRAME,))
        return _error(
            405, f"{request.method}: {request.path} is not to be had by this method"
        )

    async def _answer(self, operation: Operation, request: Request) -> Answer:
        if not self._is_trusted(operation, request):
            return UNTRUSTED
        work: Handler = getattr(self._handlers, operation.name)
        try:
            query_of(operation.query, request)
            found = await work(request)
        except Refused as error:
            return _error(error.status, str(error))
        except SettingError as error:
            return _error(400, str(error))
        except NotThere as error:
            return _error(404, str(error))
        except NotNow as error:
            return _error(503, str(error))
        except (StorageError, OSError) as error:
            return _error(500, str(error))
        if not isinstance(found, Answer):
            found = json_answer(found, status=operation.status)
        return await _packed(found, request)

    def _is_trusted(self, operation: Operation, request: Request) -> bool:
        if not self._token or operation.path in FOR_ALL:
            return True
        scheme, _, token = (request.header(b"authorization") or "").partition(" ")
        is_right = compare_digest(token.strip().encode("latin-1"), self._token)
        return scheme.lower() == "bearer" and is_right


def json_answer(value: object, *, status: int = 200) -> Answer:
    """Answer with JSON."""
    return Answer(msgspec.json.encode(value), status=status, content_type=JSON)


async def _packed(answer: Answer, request: Request) -> Answer:
    """Return an answer in gzip, where it is long and the client takes that."""
    wanted = request.header(b"accept-encoding") or ""
    if len(answer.body) < PACKED_BYTES or "gzip" not in wanted:
        return answer
    # Ten thousand devices are some megabytes: not in the time of the devices.
    body = await asyncio.to_thread(gzip.compress, answer.body, FAST, mtime=0)
    return replace(answer, body=body).with_headers((_GZIP, _VARY))


def _params_of(operation: Operation, parts: list[str]) -> dict[str, str] | None:
    """Return the variable parts of a path by their names; None for another's path."""
    names = operation.path.split("/")
    if len(names) != len(parts):
        return None
    params = {}
    for name, part in zip(names, parts, strict=True):
        if name.startswith("{") and part:
            params[name[1:-1]] = part
        elif name != part:
            return None
    return params


def _page(path: str) -> Answer:
    name = path.removeprefix("/") or "fleet.html"
    # Names are compared with what there is, so no path leads anywhere else.
    pages = {file.name: file for file in _PAGE.iterdir()} if _PAGE.is_dir() else {}
    kind = _TYPES.get(name[name.rfind(".") :], b"application/octet-stream")
    if f"{name}.gz" in pages:
        headers = (
            _GZIP,
            (b"Cache-Control", b"max-age=2592000"),
        )
        body = pages[f"{name}.gz"].read_bytes()
        return Answer(body, content_type=kind, headers=headers)
    if name in pages:
        return Answer(pages[name].read_bytes(), content_type=kind)
    if name == "fleet.html":
        return Answer(_NOT_BUILT, content_type=kind)
    return _error(404, f"{path}: there is no such route or page")


def refuse(
    request: Request, hosts: Collection[str] = (), networks: Networks = ()
) -> str | None:
    """Tell why a request may not be served; None when it may.

    A page of another site that a user of this machine looks at can send requests here:
    it has an Origin. One that points its own name here has that name as Host. Clients
    are those that a device lets in.

    Args:
        request: Which.
        hosts: Names that are allowed, in lower case.
        networks: That are allowed beside private ones.
    """
    if not is_near(request.client, networks):
        return (
            f"Client: {request.client!r} has no private address; "
            "--allow-network lets others in"
        )
    host = request.header(b"host") or ""
    name = _without_port(host).lower().removesuffix(".")
    is_watcher = request.path in WATCHED and name and not is_public_name(name)
    if not (_is_own_name(name) or _is_among(name, hosts) or is_watcher):
        return (
            f"Host: {host[:80]!r} is neither an address nor localhost; "
            "--allow-host lets a name in"
        )
    origin = request.header(b"origin")
    if origin is not None and origin != f"http://{host}":
        return f"Origin: {origin[:80]!r} is another site's"
    site = request.header(b"sec-fetch-site") or "none"
    if site not in {"same-origin", "none"}:
        return f"Sec-Fetch-Site: {site[:80]!r} is another site's"
    return None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _is_among(name: str, hosts: Collection[str]) -> bool:
    """Tell whether a name is one of these, or below one that begins with a dot."""
    return name in hosts or any(
        host.startswith(".") and name.endswith(host) for host in hosts
    )


def _is_own_name(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def query_of(kind: type[Q], request: Request) -> Q:
    """Read what follows a path.

    Raises:
        SettingError: It says what is not allowed.
    """
    kinds = {one.name: one.kind for one in members(kind)}
    values = parse_qs(request.query, keep_blank_values=True)
    table = {
        name: _value_of(texts[-1], kinds.get(name)) for name, texts in values.items()
    }
    found: Q = read(kind, table)
    return found


def _value_of(text: str, kind: inspect.Type | None) -> object:
    """Return what a text stands for; itself when it can be nothing of the kind."""
    if isinstance(kind, inspect.BoolType) and text in {"true", "false"}:
        return text == "true"
    is_whole = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if isinstance(kind, inspect.IntType) and is_whole else text


async def members_of(request: Request) -> dict[str, Any]:
    """Return the members of a request's JSON body.

    Raises:
        Refused: There is no such body.
    """
    try:
        body = await read_body(request.body, BODY_LIMIT_BYTES)
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


def _error(status: int, text: str) -> Answer:
    # Names that others have made up stand in it, perhaps with a line's end.
    return json_answer({"error": printable(text)}, status=status)


UNTRUSTED = replace(
    _error(401, "Authorization: Bearer TOKEN is needed, the --control-token"),
    headers=((b"WWW-Authenticate", b"Bearer"),),
)


def base_url(request: Request) -> str:
    """Return where a client finds this port."""
    return f"http://{request.header(b'host') or 'localhost'}"
