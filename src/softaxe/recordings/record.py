"""Recordings of a device: what it answered over a while, without what is private.

A recording is a file of JSON lines: first what it is, then one line per answer or log
line, in their order. Bodies are the device's own bytes, edited as text, so that every
number keeps its digits. Names of networks, addresses, MACs, pool users and wallets are
replaced by stand-ins, the same one for the same original.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from softaxe.catalog.firmware import Firmware, firmware, nearest
from softaxe.client.axeos import AxeOS
from softaxe.device.profile import DOCUMENTED, FIRMWARE
from softaxe.errors import BadResponse, DeviceError, SettingError

VERSION = 1
KIND = "softaxe-recording"
STATISTICS = "/api/system/statistics"
INFO = "/api/system/info"
DASHBOARD = "/api/system/statistics/dashboard"
LOGS = "/api/system/logs"
PATHS = (
    INFO,
    "/api/system/asic",
    STATISTICS,
    DASHBOARD,
    "/api/system/scoreboard",
    "/api/system/wifi/scan",
    "/api/theme",
    "/",
    LOGS,  # the last, as names in it are known from all others
)
"""What is asked for, where the version has it."""
ALWAYS = (DASHBOARD, "/")
"""Of these, what devices may have whatever their version."""
ONCE = ("/api/system/asic", "/api/system/wifi/scan", "/api/theme", "/", LOGS)
"""Of these, what hardly changes and is asked for once."""
KEPT_HEADERS = (
    "content-type",
    "content-encoding",
    "content-disposition",
    "cache-control",
    "location",
)
MAX_BODY_BYTES = 1 << 20
MAX_FILE_BYTES = 256 << 20
MOST_ENTRIES = 1_000_000
HEADER_BYTES = 256
"""A header is shorter."""
LONGEST_S = 366 * 86_400
STATUSES = range(200, 600)
"""Of answers; those from 100 on come before one."""
SHOWN_CHARS = 60
MOST_WORDS = 1000
"""Names, users and addresses that are looked for in log lines as they are written; a
Bitaxe has some thirty."""
MOST_WORDS_OF_LOG = 100
"""Of these, such as were found in log lines; later ones are replaced where they are."""
MOST_KNOWN = 20_000
"""Originals beyond share a stand-in."""
LEAST_TEXT = 4
"""Shorter values are replaced in log lines only where they stand as whole words."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""Source: RFC 9110 sections 5.5 and 5.6.2."""
_WALLET = (
    r"\b(?:(?i:(?:bc|tb|bcrt)1[0-9a-z]{8,87})"
    r"|(?=[a-zA-Z]*\d)[123mn][1-9A-HJ-NP-Za-km-z]{25,34})\b"
)
_HEX = "[0-9A-Fa-f]"
_SHAPES: Mapping[str, str] = {
    "user": rf"{_WALLET}(?:\.[\w-]+)?",
    "mac": rf"\b(?:{_HEX}{{2}}[:-]){{5}}{_HEX}{{2}}\b",
    "ipv4": r"\b(?!255\.|0\.)(?:\d{1,3}\.){3}\d{1,3}\b",
    "ipv6": (
        rf"(?<![\w:])(?:(?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}"
        rf"|(?:{_HEX}{{1,4}}:){{1,6}}(?::{_HEX}{{1,4}}){{1,6}})(?![\w:])"
    ),
    "ap": rf"\bBitaxe[_-]{_HEX}{{4}}\b",
}
"""What looks private, wherever it stands, and its kind."""
_SCRIPTS = {"1976a914": 40, "17a914": 40, "160014": 40, "220020": 64, "225120": 64}
"""How outputs of a coinbase begin, with their length, and how many hex digits of whom
they pay follow: P2PKH, P2SH, P2WPKH, P2WSH, P2TR. Source: BIP-16, BIP-141, BIP-341."""
LEAST_SCRIPT = 8
"""Hex digits that are enough to look for whom they pay: a line may be cut anywhere."""
_IN_LOG = re.compile(
    "|".join(f"(?P<{kind}>{shape})" for kind, shape in _SHAPES.items())
    + "|(?P<script>"
    + "|".join(
        rf"(?i:{start}){_HEX}{{{LEAST_SCRIPT},{size}}}"
        for start, size in _SCRIPTS.items()
    )
    + ")"
)
_LOG_HEAD = re.compile(r"(?:\x1b\[[\d;]*m)?[EWIDV] \(\d+\) [^:]*: ")
_LOGIN = re.compile(
    r"(?P<head>.*"
    r'"mining\.(?P<method>authorize|submit)",\s*"params":\s*\[\s*")'
    r'(?P<user>.*?)(?P<rest>"\s*,\s*".*?)?(?P<end>(?:\x1b\[0m)?\s*)',
    re.DOTALL,
)
"""The lines with a pool user. The firmware writes user and password without escaping
them, so that such a line need not be JSON."""


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
    """Replaces what is private, always the same by the same.

    Answers name what they hold. In log lines it is found by its shape, or because an
    answer has held it before.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        """By kind, and original in lower case."""
        self._counts = Counter[str]()
        self._words: dict[str, str] = {}
        """What is replaced in log lines, by original."""
        self._words_of_log = 0
        self._standins: list[str] = []
        """Of the words, in the order of the pattern's groups."""
        self.is_full = False
        """There are more names than can be looked for in log lines."""
        self._pattern: re.Pattern[str] | None = re.compile("(?!)")
        """Matches a word; its groups are the words' in their order. None when there
        are new words."""

    def in_body(self, text: str) -> str:
        """Replace in an answer; only values change, no other character."""
        return _IN_BODY.sub(self._in_answer, text)

    def in_log(self, text: str) -> str:
        """Replace in a line of the log."""
        if login := _LOGIN.fullmatch(text):
            user, rest = self._of("user", login["user"]), login["rest"] or ""
            if login["method"] == "authorize" and rest:
                rest = '", "x"]}'
            return f"{login['head']}{user}{rest}{login['end']}"
        head = _LOG_HEAD.match(text)
        start = head.end() if head else 0
        for found in _IN_LOG.finditer(text, start):
            if found.lastgroup != "script":
                self._of(found.lastgroup or "", found[0], is_log=True)
        if self._pattern is None:
            # The longest first: one may be the beginning of another.
            words = sorted(self._words.items(), key=lambda w: len(w[0]), reverse=True)
            self._standins = [standin for _, standin in words]
            shapes = "|".join(f"({_word(word)})" for word, _ in words)
            self._pattern = re.compile(shapes or "(?!)", re.IGNORECASE)
        rest = _IN_LOG.sub(self._in_shape, text[start:])
        return text[:start] + self._pattern.sub(self._in_line, rest)

    def _in_answer(self, found: re.Match[str]) -> str:
        if found["member"] is None:
            return self._of(found.lastgroup or "", found[0])
        value = _unescaped(found["value"])
        return f"{found['member']}{self._of(_PRIVATE[found['name']], value)}"

    def _in_shape(self, found: re.Match[str]) -> str:
        # Of scripts the shape is enough to find them again: a pool may pay very many.
        # Words are still to be replaced, as one may be a part of another.
        kind, original = found.lastgroup or "", found[0]
        if kind != "script" and (original in self._words or not self._has_many):
            return original
        return self._of(kind, original, is_log=True)

    @property
    def _has_many(self) -> bool:
        return self._words_of_log >= MOST_WORDS_OF_LOG

    def _in_line(self, found: re.Match[str]) -> str:
        return self._standins[(found.lastindex or 1) - 1]

    def _of(self, kind: str, original: str, *, is_log: bool = False) -> str:
        if not original:
            return ""
        key = kind, original.lower()
        if (known := self._known.get(key)) is not None:
            return known
        if len(self._known) >= MOST_KNOWN:
            return _MAKERS[kind](MOST_KNOWN, original)
        standin = self._known[key] = self._new(kind, original)
        if kind == "mac":
            self._add_word(_bare(original), _bare(standin), is_log=is_log)
        if kind not in {"secret", "script"}:  # they are known by their lines
            self._add_word(original, standin, is_log=is_log)
        return standin

    def _add_word(self, original: str, standin: str, *, is_log: bool) -> None:
        if is_log and self._has_many:
            return  # its shape finds it again
        if len(self._words) >= MOST_WORDS:
            self.is_full = True
            return
        self._words_of_log += is_log
        self._words[original] = standin
        self._pattern = None

    def _new(self, kind: str, original: str) -> str:
        if kind == "full name":
            name, dot, domain = original.partition(".local")
            return f"{self._of('hostname', name)}{dot}{domain}"
        if kind == "user":
            name, dot, worker = original.partition(".")
            if re.fullmatch(_WALLET, name):
                return f"{self._of('wallet', name)}{dot}{'worker' if worker else ''}"
        self._counts[kind] += 1
        return _MAKERS[kind](self._counts[kind], original)


def _word(text: str) -> str:
    pattern = re.escape(text)
    return rf"(?<!\w){pattern}(?!\w)" if len(text) < LEAST_TEXT else pattern


def _unescaped(text: str) -> str:
    """Return what the inside of a JSON string means; its bytes stand as Latin-1."""
    text = text.encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _user(number: int, original: str) -> str:
    return f"user{number}{'.worker' if '.' in original else ''}"


def _wallet(number: int, original: str) -> str:
    is_bech32 = original[:2].lower() in {"bc", "tb"}
    start = original[:4] if is_bech32 else original[:1]
    standin = f"{start}standin{number}".ljust(len(original), "q")
    return standin.upper() if original.isupper() else standin


def _mac(number: int, original: str) -> str:
    separator = "-" if original[2:3] == "-" else ":"
    text = separator.join(
        f"{byte:02X}" for byte in (2, 0, 0, 0, number >> 8, number & 255)
    )
    return text if original.isupper() else text.lower()


def _bare(mac: str) -> str:
    return mac.replace(":", "").replace("-", "")


def _ipv6(number: int, original: str) -> str:
    text = f"FE80::FF:FE00:{number:X}"
    return text if original.isupper() else text.lower()


def _script(number: int, original: str) -> str:
    size = next(len(head) for head in _SCRIPTS if original.lower().startswith(head))
    return f"{original[:size]}{number:0{len(original) - size}x}"


_MAKERS: Mapping[str, Callable[[int, str], str]] = {
    "ssid": lambda n, _: f"network-{n}",
    "hostname": lambda n, _: f"bitaxe-{n}",
    "user": _user,
    "wallet": _wallet,
    "secret": lambda n, _: "x",
    "mac": _mac,
    "ipv4": lambda n, _: f"192.0.2.{n % 256}",
    "ipv6": _ipv6,
    "ap": lambda n, original: f"{original[:7]}{n:04X}",
    "script": _script,
}
_PRIVATE: Mapping[str, str] = {
    "ssid": "ssid",
    "hostname": "hostname",
    "mdnsHostname": "hostname",
    "fullHostname": "full name",
    "stratumUser": "user",
    "fallbackStratumUser": "user",
    "stratumPassword": "secret",
    "fallbackStratumPassword": "secret",
    "stratumCert": "secret",
    "fallbackStratumCert": "secret",
    "wifiPass": "secret",
    "macAddr": "mac",
    "bssid": "mac",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
}
"""Members of answers, and what they hold."""
_IN_BODY = re.compile(
    rf'(?P<member>"(?P<name>{"|".join(_PRIVATE)})"\s*:\s*")'
    r'(?P<value>(?:[^"\\]|\\.)*)|'
    + "|".join(f"(?P<{kind}>{shape})" for kind, shape in _SHAPES.items())
)


def header(url: str, interval_s: float) -> str:
    """Return a recording's first line; the device's address is not kept."""
    port = url.rpartition(":")[2]
    about = {KIND: VERSION, "interval_s": interval_s}
    return json.dumps({**about, "port": int(port) if port.isdigit() else 80})


def ask_all(client: AxeOS, at_s: float, *, is_first: bool) -> Iterator[Entry]:
    """Ask a device for everything, or for what changes.

    Raises:
        SettingError: Nothing answered the very first question.
    """
    release = firmware()
    for path in PATHS:
        if path in ONCE and not is_first:
            continue
        if path not in ALWAYS and not release.has_route("GET", path):
            continue
        asked = path + (_columns(release) if path == STATISTICS else "")
        try:
            reply = client.request("GET", asked)
        except BadResponse as error:
            if is_first and path == INFO:
                raise SettingError(f"{client.url}: {error}") from error
            continue
        except DeviceError:
            if is_first and path == INFO:
                raise
            yield Entry(at_s, path, status=0)
            return
        if path == INFO:
            release = release_of(reply.body)
        if len(reply.body) > MAX_BODY_BYTES:
            continue
        kept = {k: v for k, v in reply.headers.items() if k in KEPT_HEADERS}
        text = reply.body.decode("latin-1")
        yield Entry(at_s, path, reply.status, kept, text)


def release_of(info: bytes) -> Firmware:
    """Return the release, or the nearest, of a device by what its info says."""
    try:
        return nearest(str(json.loads(info)["version"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return firmware()


def _columns(release: Firmware) -> str:
    """Return the query for all columns, also those that only the API page knows."""
    from softaxe.api.schema import offered_columns  # noqa: PLC0415

    if not FIRMWARE.on(release).columns_picked:
        return ""
    profile = DOCUMENTED.on(release)
    labels = [column.label for column in offered_columns(release, profile)]
    return f"?columns={','.join(labels)}"


def cleaned(entry: Entry, standins: Standins) -> Entry:
    """Return an entry without what is private; pages stay as they are."""
    if entry.is_log:
        return replace(entry, body=standins.in_log(entry.body))
    headers = {name: standins.in_body(text) for name, text in entry.headers.items()}
    is_page = not entry.path.startswith("/api/")
    body = entry.body
    if entry.path == LOGS:
        body = _cleaned_logs(body, standins)
    elif not is_page:
        body = standins.in_body(body)
    return replace(entry, headers=headers, body=body)


def _cleaned_logs(body: str, standins: Standins) -> str:
    """Replace in every line; none is kept of a device with more names than fit."""
    text = body.encode("latin-1").decode("utf-8", "replace")
    hidden = "\n".join(map(standins.in_log, text.split("\n")))
    return "" if standins.is_full else hidden.encode().decode("latin-1")


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
        if len(entries) > MOST_ENTRIES:
            raise SettingError(f"{where}: over {MOST_ENTRIES} lines")
    if not any(entry.status and not entry.is_log for entry in entries):
        raise SettingError(f"{where}: holds no answer")
    # A log line may have been written a little after an answer that came after it.
    return sorted(entries, key=lambda entry: entry.at_s)


def _entry(members: object, where: str) -> Entry:
    if not isinstance(members, dict):
        raise SettingError(f"{where}: is no entry of a recording")

    def read(name: str, is_allowed: Callable[[Any], bool], allowed: str) -> Any:
        value = members.get(name)
        if not is_allowed(value):
            shown = repr(value)
            shown = shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}..."
            complaint = f"{name}: {shown} is no {allowed}"
            raise SettingError(f"{where}: is no entry of a recording: {complaint}")
        return value

    longest = f"number of 0..{LONGEST_S} seconds"
    at_s = float(read("at", lambda v: _is_number(v) and 0 <= v <= LONGEST_S, longest))
    if "log" in members:
        return Entry(at_s, "", body=read("log", _is_unicode, "text"))
    path = read("path", lambda v: _is_unicode(v) and v[:1] == "/", "path")
    if members.get("away"):
        return Entry(at_s, path, status=0)
    status = read("status", lambda v: type(v) is int and v in STATUSES, "status")
    headers = read("headers", _are_headers, "table of headers")
    return Entry(at_s, path, status, headers, read("body", _is_latin, "Latin-1 text"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_unicode(value: object) -> bool:
    return isinstance(value, str) and not _LONE_SURROGATE.search(value)


def _is_latin(value: object) -> bool:
    return isinstance(value, str) and all(letter <= "\xff" for letter in value)


def _are_headers(value: object) -> bool:
    return isinstance(value, dict) and all(
        _HEADER_NAME.fullmatch(name)
        and isinstance(text, str)
        and _HEADER_TEXT.fullmatch(text)
        for name, text in value.items()
    )
