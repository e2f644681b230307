"""Recordings of a device: what it answered over a while, without what is private.

A recording is a file of JSON lines: first what it is, then one line per answer or log
line, in their order. Bodies are the device's own bytes, edited as text, so that every
number keeps its digits. Names of networks, addresses, MACs, pool users and wallets are
replaced by stand-ins, the same one for the same original.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from softaxe.client import Client
from softaxe.errors import BadResponse, DeviceError, SettingError

VERSION = 1
KIND = "softaxe-recording"
STATISTICS = "/api/system/statistics"
PATHS = (
    "/api/system/info",
    "/api/system/asic",
    STATISTICS,
    "/api/system/statistics/dashboard",
    "/api/system/wifi/scan",
    "/api/theme",
    "/",
)
"""What is asked for."""
ONCE = ("/api/system/asic", "/api/system/wifi/scan", "/api/theme", "/")
"""Of these, what hardly changes and is asked for once."""
KEPT_HEADERS = ("content-type", "content-encoding", "cache-control", "location")
MAX_BODY_BYTES = 1 << 20
MAX_FILE_BYTES = 256 << 20
LEAST_TEXT = 4
"""Shorter values are only replaced where they stand as values, not inside log lines."""

_WALLET = re.compile(
    r"\b(?:(?:bc1|tb1)[0-9a-z]{20,87}|[13][1-9A-HJ-NP-Za-km-z]{25,34})\b"
)
_MAC = re.compile(r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b")
_IPV4 = re.compile(r"\b(?:10|127|172|192|169)(?:\.\d{1,3}){3}\b")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing a device said."""

    at_s: float
    """Since the recording began."""
    path: str
    """Of the request; empty for a log line."""
    status: int = 200
    """0 when the device did not answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    """Latin-1 text of the bytes, or the log line."""

    @property
    def is_log(self) -> bool:
        """True for a line of the log."""
        return not self.path

    def to_line(self) -> str:
        """Return the file's line."""
        if self.is_log:
            return json.dumps({"at": self.at_s, "log": self.body})
        members: dict[str, Any] = {"at": self.at_s, "path": self.path}
        if not self.status:
            return json.dumps({**members, "away": True})
        members |= {"status": self.status, "headers": dict(self.headers)}
        return json.dumps({**members, "body": self.body})


class Standins:
    """Replaces what is private, always the same by the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def in_body(self, text: str) -> str:
        """Replace in an answer; only values change, no other character."""
        for name, kind in _PRIVATE.items():
            pattern = rf'("{name}"\s*:\s*")((?:[^"\\]|\\.)*)(")'
            text = re.sub(pattern, self._replacer(kind), text)
        return self._shapes(text)

    def in_log(self, text: str) -> str:
        """Replace in a line of the log."""
        for (kind, original), standin in list(self._known.items()):
            if kind in _WORDS and len(original) >= LEAST_TEXT:
                text = text.replace(original, standin)
        return self._shapes(text)

    def _replacer(self, kind: str) -> Callable[["re.Match[str]"], str]:
        def replace(found: "re.Match[str]") -> str:
            before, value, after = found.groups()
            return f"{before}{self._of(kind, value) if value else ''}{after}"

        return replace

    def _shapes(self, text: str) -> str:
        """Replace what looks private wherever it stands."""
        text = _WALLET.sub(lambda m: self._of("wallet", m.group()), text)
        text = _MAC.sub(lambda m: self._of("mac", m.group()), text)
        return _IPV4.sub(lambda m: self._of("ipv4", m.group()), text)

    def _of(self, kind: str, original: str) -> str:
        if original in self._known.values():
            return original
        key = kind, original
        if key not in self._known:
            number = 1 + sum(known == kind for known, _ in self._known)
            self._known[key] = _MAKERS[kind](number, original)
        return self._known[key]


def _user(number: int, original: str) -> str:
    wallet, dot, worker = original.partition(".")
    name = _wallet(number, wallet) if _WALLET.fullmatch(wallet) else f"user{number}"
    return f"{name}{dot}{'worker' if worker else ''}"


def _wallet(number: int, original: str) -> str:
    start = original[:4] if original[:3] in {"bc1", "tb1"} else original[:1]
    return f"{start}standin{number}".ljust(len(original), "q")


def _mac(number: int, original: str) -> str:
    separator = original[2]
    text = separator.join(
        f"{byte:02X}" for byte in (2, 0, 0, 0, number >> 8, number & 255)
    )
    return text if original.isupper() else text.lower()


_MAKERS: Mapping[str, Callable[[int, str], str]] = {
    "ssid": lambda n, _: f"network-{n}",
    "hostname": lambda n, _: f"bitaxe-{n}",
    "user": _user,
    "wallet": _wallet,
    "secret": lambda n, _: "x",
    "mac": _mac,
    "ipv4": lambda n, _: f"192.0.2.{n % 256}",
    "ipv6": lambda n, _: f"FE80::FF:FE00:{n:X}",
}
_PRIVATE: Mapping[str, str] = {
    "ssid": "ssid",
    "hostname": "hostname",
    "stratumUser": "user",
    "fallbackStratumUser": "user",
    "stratumPassword": "secret",
    "fallbackStratumPassword": "secret",
    "wifiPass": "secret",
    "macAddr": "mac",
    "bssid": "mac",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
}
"""Members of answers, and what they hold."""
_WORDS = {"ssid", "hostname", "user", "ipv6"}


def header(url: str, interval_s: float) -> str:
    """Return a recording's first line; the device's address is not kept."""
    port = url.rpartition(":")[2]
    about = {KIND: VERSION, "interval_s": interval_s}
    return json.dumps({**about, "port": int(port) if port.isdigit() else 80})


def ask_all(client: Client, at_s: float, *, is_first: bool) -> Iterator[Entry]:
    """Ask a device for everything, or for what changes.

    Raises:
        SettingError: Nothing answered the very first question.
    """
    for path in PATHS:
        if path in ONCE and not is_first:
            continue
        asked = path
        if path == STATISTICS:
            asked = f"{path}?columns={','.join(_columns())}"
        try:
            reply = client.request("GET", asked)
        except BadResponse as error:
            if is_first and path == PATHS[0]:
                raise SettingError(f"{client.url}: {error}") from error
            continue
        except DeviceError:
            if is_first and path == PATHS[0]:
                raise
            yield Entry(at_s, path, status=0)
            return
        if len(reply.body) > MAX_BODY_BYTES:
            continue
        kept = {k: v for k, v in reply.headers.items() if k in KEPT_HEADERS}
        text = reply.body.decode("latin-1")
        yield Entry(at_s, path, reply.status, kept, text)


def _columns() -> list[str]:
    from softaxe.api.schema import offered_columns  # noqa: PLC0415
    from softaxe.device.profile import DOCUMENTED  # noqa: PLC0415

    return [column.label for column in offered_columns(DOCUMENTED)]


def cleaned(entry: Entry, standins: Standins) -> Entry:
    """Return an entry without what is private; pages stay as they are."""
    if entry.is_log:
        body = standins.in_log(entry.body)
    elif entry.path.startswith("/api/"):
        body = standins.in_body(entry.body)
    else:
        return entry
    return Entry(entry.at_s, entry.path, entry.status, entry.headers, body)


def read_recording(lines: Iterable[str], where: str) -> list[Entry]:
    """Read a recording.

    Raises:
        SettingError: It is none, or was made by another version.
    """
    entries: list[Entry] = []
    for number, line in enumerate(lines, 1):
        try:
            members = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SettingError(f"{where}: line {number} is no JSON: {error}") from error
        if number == 1:
            if not isinstance(members, dict) or members.get(KIND) != VERSION:
                raise SettingError(f"{where}: is no recording of version {VERSION}")
            continue
        entries.append(_entry(members, f"{where}: line {number}"))
    if not any(entry.status and not entry.is_log for entry in entries):
        raise SettingError(f"{where}: holds no answer")
    return entries


def _entry(members: object, where: str) -> Entry:
    try:
        assert isinstance(members, dict)
        at_s = float(members["at"])
        if "log" in members:
            return Entry(at_s, "", body=str(members["log"]))
        path = str(members["path"])
        if members.get("away"):
            return Entry(at_s, path, status=0)
        body, headers = members["body"], members["headers"]
        assert isinstance(body, str)
        body.encode("latin-1")
        named = {str(name): str(value) for name, value in headers.items()}
        return Entry(at_s, path, int(members["status"]), named, body)
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingError(f"{where}: is no entry of a recording") from error
