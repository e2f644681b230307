"""Where the API page and the firmware differ, as one table.

The page is the promise softaxe keeps by default (`DOCUMENTED`); `FIRMWARE` does what
the version that runs does. A difference is looked up where it matters, by its name
here. The table in docs/fidelity.md is made of this one.

What a version does differs from version to version, and some do what the page says: of
`DOCUMENTED.on(firmware)` and `FIRMWARE.on(firmware)` such a row is the same.

Of a device one may expect less than the page promises, and it takes more than the page
allows. So a row is a promise, which is kept, or a demand: what does not meet one is
taken as on a device and told, or, by `STRICT`, refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cache
from typing import Any

from msgspec import Struct

from softaxe.catalog.firmware import Firmware
from softaxe.catalog.firmware.rows import Release, release


class Kind(StrEnum):
    """What a row is to a client."""

    PROMISE = "promise"
    """More is done than on a device, or fewer are let in."""
    MARKED = "promise, marked"
    """A promise that an answer shows: the journal marks those that it has changed."""
    DEMAND = "demand"
    """A device takes what does not meet it."""


def _row(
    page: str, firmware: str | None, kind: Kind = Kind.PROMISE, **later: str | None
) -> bool:
    """Describe a row: what the page says, and what versions do.

    Args:
        page: What the page says.
        firmware: What the oldest version does; None when it is the same.
        kind: What the row is to a client.
        later: What versions do from a release on, as `v2_13=...`.
    """
    steps = {(2, 8, 0): firmware}
    for name, words in later.items():
        steps[release(name.replace("_", "."))] = words
    kept: bool = field(metadata={"page": page, "steps": steps, "kind": kind})
    return kept


def _marked(page: str, firmware: str | None, **later: str | None) -> bool:
    return _row(page, firmware, Kind.MARKED, **later)


def _demand(page: str, firmware: str | None, **later: str | None) -> bool:
    return _row(page, firmware, Kind.DEMAND, **later)


@dataclass(frozen=True, slots=True)
class Profile:
    """One field per difference; True goes by the page."""

    name: str
    fanspeed_sets_fan: bool = _marked(
        "`fanspeed` in a PATCH sets the manual fan speed",
        None,
        v2_11="`fanspeed` is an unknown key and ignored",
    )
    fanspeed_checked: bool = _demand(
        "`fanspeed` is a number from 0 to 100",
        "any number is taken for one of 16 bits, and what is none for 0",
        v2_11="whatever it is, it is ignored",
    )
    wide_target_temperature: bool = _marked(
        "`temptarget` 0 to 100", None, v2_11="35 to 66"
    )
    port_checked: bool = _demand(
        "ports 1 to 65535",
        "any number is taken for one of 16 bits, and what is none for 0",
        v2_11="0 to 65535",
    )
    page_settings_known: bool = _marked(
        "every setting of the page can be changed",
        "`rotation`, `statsFrequency` and `useFallbackStratum` are ignored",
        v2_9="`useFallbackStratum` is ignored",
        v2_11=None,
        v2_15="settings of `stratum` and `fallbackStratum` are ignored: there are "
        "`pools`",
    )
    values_checked: bool = _demand(
        "every value has its type and range",
        "any is taken: texts as they are, numbers cut to 16 bits",
        v2_11=None,
    )
    hostname_checked: bool = _demand(
        "`hostname` holds letters, digits and hyphens only",
        "any text",
        v2_11="any 1 to 32 bytes",
    )
    wifi_password_checked: bool = _demand(
        "`wifiPass` has 8 to 63 characters, or none for an open network",
        "any text",
        v2_11="1 to 63 bytes",
        v2_12="0 to 63 bytes",
    )
    overclock_guarded: bool = _demand(
        "`frequency` and `coreVoltage` outside the board's options need "
        "`overclockEnabled` 1, stored or in the same request",
        "any value above 0, taken for one of 16 bits; the flag has no effect",
        v2_11="any value from 1 to 65535; the flag has no effect",
    )
    pool_url_scheme_understood: bool = _marked(
        "a scheme or port in a pool URL is kept as written and understood when "
        "dialling; one that asks for what the firmware cannot do is refused",
        "the whole text is taken for a host name",
    )
    loopback_allowed: bool = _row(
        "loopback clients and same-origin pages on any port are let in, not under a "
        "name that public DNS can answer: a page may have pointed its own here",
        "only private addresses; an Origin with a port or a name is refused",
        v2_15="only private addresses, but whoever comes from an Origin of a name "
        "without a dot or in `.local`; one of an address with a port is refused",
    )
    access_checked_in_ap: bool = _row(
        "the access check holds in access point mode too: here it has no radio's reach",
        "whoever has joined the access point is let in",
    )
    theme_access_checked: bool = _row(
        "`POST /api/theme` answers 401 outside the allowed networks",
        "it has no check: any site changes the theme",
        v2_15=None,
    )
    scan_access_checked: bool = _row(
        "`wifi/scan` answers 401 outside the allowed networks",
        "it has no check",
        v2_15=None,
    )
    dashboard_exists: bool = _marked(
        "`statistics/dashboard` exists", None, v2_11="it was removed: JSON 404"
    )
    identify_exists: bool = _marked(
        "`identify` exists",
        "there is none: 405",
        v2_9="there is none: JSON 404",
        v2_12=None,
    )
    columns_picked: bool = _marked(
        "`columns` picks columns of the statistics",
        "there is no `columns`: all come",
        v2_11=None,
    )
    page_columns: bool = _marked(
        "statistics have columns `hashrate`, its averages, `asicTemp`, `vrTemp` and "
        "`power`",
        "their names are `hashRate` and `temp`, and averages are unknown",
        v2_11="averages are unknown",
        v2_12=None,
    )
    response_time_column: bool = _marked(
        "statistics have a column `responseTime`",
        "the column is unknown",
        v2_13=None,
    )
    pool_difficulty_unbounded: bool = _row(
        "shares meet whatever difficulty the pool asks",
        "a pool's difficulty counts as 2147483647 at most, as 32 bits hold",
        v2_14=None,
    )
    small_difficulties_told: bool = _marked(
        "difficulties below 1, as of real work, are told as they are: the pool's, the "
        "best ones, and in the log",
        "0 is told: their whole part",
        v2_14="of the best ones 0 is told: their whole part",
    )
    first_share_counted: bool = _row(
        "the answer to a submit counts as a share, and no other does",
        "the message id decides: from 5 on it is a share. So the first share of every "
        "connection is not counted where nothing came before it, as with a suggested "
        "difficulty of 0, and an answer to `mining.extranonce.subscribe` is a share",
        v2_14="a submit with a message id below 5 is not counted: the first share of "
        "every connection with a suggested difficulty of 0",
        v2_15=None,
    )
    statistics_time_is_wide: bool = _row(
        "statistics are recorded at their interval, however long the device is up",
        None,
        v2_9="the interval's milliseconds have 16 bits: 66 s are 464 ms",
        v2_11="the interval's milliseconds have 16 bits; times are compared as signed "
        "words of 32 bits: after 24.9 days many devices record no more",
        v2_12="times are compared as signed words of 32 bits: after 24.9 days many "
        "devices record no more",
        v2_13=None,
    )
    columns_decoded: bool = _marked(
        "`columns` may be percent-encoded, as HTTP clients send it",
        "a percent-encoded comma makes one unknown column",
        v2_14=None,
    )
    image_refused_with_reason: bool = _marked(
        "a refused image is a 400 with the reason, and nothing is changed",
        "500 with a fixed text; a www image is stored unchecked",
        v2_15="500 with a fixed text in JSON; a www image is stored unchecked",
    )
    patch_errors_explained: bool = _marked(
        "a PATCH error is JSON and names field, value and what is allowed",
        "`Invalid JSON` as text; no value is refused",
        v2_11="`Wrong API input` or `Invalid JSON` as text",
    )
    patch_answers_json: bool = _marked(
        "an accepted PATCH answers `{}`",
        "an empty chunked body of type text/html",
    )
    actions_answer_json: bool = _marked(
        'restart and identify answer JSON, `{"message": ...}`',
        "text of type text/html",
        v2_12="plain text",
        v2_13=None,
    )
    chunked_bodies_read: bool = _marked(
        "a request body may come in chunks, as HTTP clients stream it",
        "only Content-Length counts; a chunked body is empty",
    )
    many_connections: bool = _row(
        "1000 connections are taken; of one more, the one goes that was unused for "
        "longest, a WebSocket last",
        "10 are taken; one more waits until another ends",
        v2_10="20 are taken; of one more, the one goes that was unused for longest, as "
        "a WebSocket is that only listens",
    )
    long_heads: bool = _row(
        "the head of a request may have 16 KiB, as some browsers send",
        "headers may have 512 bytes",
        v2_10="headers may have 1024 bytes",
    )
    websocket_refused_early: bool = _marked(
        "a WebSocket is refused with 401 or 429 before the upgrade",
        "it is accepted, and then closed or sent an HTTP answer's bytes",
        v2_15=None,
    )
    subscription_needed: bool = _row(
        "a pool that refuses `mining.subscribe`, or gives no usable extranonce, is "
        "left and tried again after 5 s, as one that cannot be reached",
        "the extranonce of an earlier connection is used; at a job without any since "
        "boot, or of a size below 0, the device crashes",
    )
    slow_bodies_whole: bool = _row(
        "what `PUT /api/system/pools` and `POST /api/system/boot` are sent may come in "
        "several pieces",
        None,
        v2_15="what comes in the first TCP segment counts",
    )
    scan_blocks_nothing: bool = _row(
        "other requests are answered while `wifi/scan` listens, some 2 s",
        "there is one task for all: they wait until it is done",
    )
    whole_ssid_joined: bool = _row(
        "a network whose name has 32 bytes is joined",
        "the last byte is lost on the way to the radio, so it is never found",
    )
    is_strict: bool = False
    """What does not meet a demand is refused."""

    def keeps(self, name: str) -> bool:
        """Tell whether a row goes by the page: a promise, or a demand if strict."""
        kept: bool = getattr(self, name)
        return kept and (self.is_strict or ROWS[name].kind is not Kind.DEMAND)

    def on(self, firmware: Firmware) -> "Profile":
        """Return the profile over a version: what it does as the page says, is so."""
        return _on(self, firmware)

    def warns_of(self, name: str) -> bool:
        """Tell whether what does not meet a demand is taken, and told."""
        kept: bool = getattr(self, name)
        return kept and not self.is_strict and ROWS[name].kind is Kind.DEMAND


class Difference(Struct, frozen=True):
    """A row of the table, in words."""

    name: str
    page: str
    steps: Mapping[Release, str | None]
    """What versions do, from a release on; None when it is the same."""
    kind: Kind

    def words(self, firmware: Firmware) -> str | None:
        """What a version does; None when it does as the page says."""
        this = release(firmware.version)
        return [words for since, words in self.steps.items() if since <= this][-1]

    def text(self, firmware: Firmware) -> str | None:
        """Both sides in one line, as a client's author is told of them."""
        words = self.words(firmware)
        return words and f"{self.page}; {firmware.tag}: {words}"


ROWS: Mapping[str, Difference] = {
    row.name: Difference(row.name, **row.metadata)
    for row in fields(Profile)
    if row.metadata
}
"""Every row of the table, by name."""


def differences(names: Iterable[str], firmware: Firmware) -> Iterator[str]:
    """Yield those of the named rows in which a version differs, in words."""
    for name in names:
        if text := ROWS[name].text(firmware):
            yield text


@cache
def _on(profile: Profile, firmware: Firmware) -> Profile:
    kept = {name for name, row in ROWS.items() if row.words(firmware) is None}
    changed: dict[str, Any] = {
        name: True for name in kept if not getattr(profile, name)
    }
    return replace(profile, **changed) if changed else profile


def _profile(name: str, *, goes_by_page: bool) -> Profile:
    return Profile(name, **dict.fromkeys(ROWS, goes_by_page))


DOCUMENTED = _profile("documented", goes_by_page=True)
STRICT = replace(DOCUMENTED, name="strict", is_strict=True)
"""`DOCUMENTED`, and what does not meet the page's demands is refused."""
FIRMWARE = _profile("firmware", goes_by_page=False)
