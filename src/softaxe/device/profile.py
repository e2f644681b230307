"""Where the API page and the firmware differ, as one table.

The page is the promise softaxe keeps by default (`DOCUMENTED`); `FIRMWARE` does what
v2.12.2 does. A difference is looked up where it matters, by its name here. The table in
docs/fidelity.md is made of this one.

Of a device one may expect less than the page promises, and it takes more than the page
allows. So a row is a promise, which is kept, or a demand: what does not meet one is
taken as on a device and told, or, by `STRICT`, refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum


class Kind(StrEnum):
    """What a row is to a client."""

    PROMISE = "promise"
    """More is done than on a device, or fewer are let in."""
    MARKED = "promise, marked"
    """A promise that an answer shows: the journal marks those that it has changed."""
    DEMAND = "demand"
    """A device takes what does not meet it."""


def _row(page: str, firmware: str, kind: Kind = Kind.PROMISE) -> bool:
    kept: bool = field(metadata={"page": page, "firmware": firmware, "kind": kind})
    return kept


def _marked(page: str, firmware: str) -> bool:
    return _row(page, firmware, Kind.MARKED)


def _demand(page: str, firmware: str) -> bool:
    return _row(page, firmware, Kind.DEMAND)


@dataclass(frozen=True, slots=True)
class Profile:
    """One field per difference; True goes by the page."""

    name: str
    fanspeed_sets_fan: bool = _marked(
        "`fanspeed` in a PATCH sets the manual fan speed",
        "`fanspeed` is an unknown key and ignored",
    )
    fanspeed_checked: bool = _demand(
        "`fanspeed` is a number from 0 to 100",
        "whatever it is, it is ignored",
    )
    wide_target_temperature: bool = _marked("`temptarget` 0 to 100", "35 to 66")
    port_checked: bool = _demand("ports 1 to 65535", "0 to 65535")
    hostname_checked: bool = _demand(
        "`hostname` holds letters, digits and hyphens only", "any 1 to 32 bytes"
    )
    wifi_password_checked: bool = _demand(
        "`wifiPass` has 8 to 63 characters, or none for an open network",
        "0 to 63 bytes",
    )
    overclock_guarded: bool = _demand(
        "`frequency` and `coreVoltage` outside the board's options need "
        "`overclockEnabled` 1, stored or in the same request",
        "any value from 1 to 65535; the flag has no effect",
    )
    pool_url_scheme_understood: bool = _marked(
        "a scheme or port in a pool URL is kept as written and understood when "
        "dialling",
        "the whole text is taken for a host name",
    )
    loopback_allowed: bool = _row(
        "loopback clients and same-origin pages on any port are let in, not under a "
        "name that public DNS can answer: a page may have pointed its own here",
        "only private addresses; an Origin with a port or a name is refused",
    )
    access_checked_in_ap: bool = _row(
        "the access check holds in access point mode too: here it has no radio's reach",
        "whoever has joined the access point is let in",
    )
    theme_access_checked: bool = _row(
        "`POST /api/theme` answers 401 outside the allowed networks",
        "it has no check: any site changes the theme",
    )
    scan_access_checked: bool = _row(
        "`wifi/scan` answers 401 outside the allowed networks", "it has no check"
    )
    dashboard_exists: bool = _marked(
        "`statistics/dashboard` exists", "it was removed: JSON 404"
    )
    identify_exists: bool = _row(
        "`identify` exists on every version", "before 2.12 it does not"
    )
    response_time_column: bool = _marked(
        "statistics have a column `responseTime`", "the column is unknown"
    )
    pool_difficulty_unbounded: bool = _row(
        "shares meet whatever difficulty the pool asks",
        "a pool's difficulty counts as 2147483647 at most, as 32 bits hold",
    )
    statistics_time_is_wide: bool = _row(
        "statistics are recorded however long the device is up",
        "times are compared as signed words of 32 bits: after 24.9 days many devices "
        "record no more",
    )
    columns_decoded: bool = _marked(
        "`columns` may be percent-encoded, as HTTP clients send it",
        "a percent-encoded comma makes one unknown column",
    )
    image_refused_with_reason: bool = _marked(
        "a refused image is a 400 with the reason, and nothing is changed",
        "500 with a fixed text; a www image is stored unchecked",
    )
    patch_errors_explained: bool = _marked(
        "a PATCH error is JSON and names field, value and what is allowed",
        "`Wrong API input` or `Invalid JSON` as text",
    )
    patch_answers_json: bool = _marked(
        "an accepted PATCH answers `{}`", "an empty chunked body of type text/html"
    )
    actions_answer_json: bool = _marked(
        'restart and identify answer JSON, `{"message": ...}`', "plain text"
    )
    chunked_bodies_read: bool = _marked(
        "a request body may come in chunks, as HTTP clients stream it",
        "only Content-Length counts; a chunked body is empty",
    )
    websocket_refused_early: bool = _marked(
        "a WebSocket is refused with 401 or 429 before the upgrade",
        "it is accepted and then closed",
    )
    subscription_needed: bool = _row(
        "a pool that refuses `mining.subscribe`, or gives no usable extranonce, is "
        "left and tried again after 5 s, as one that cannot be reached",
        "the extranonce of an earlier connection is used; at a job without any since "
        "boot, or of a size below 0, the device crashes",
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

    def warns_of(self, name: str) -> bool:
        """Tell whether what does not meet a demand is taken, and told."""
        kept: bool = getattr(self, name)
        return kept and not self.is_strict and ROWS[name].kind is Kind.DEMAND


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of the table, in words."""

    name: str
    page: str
    firmware: str
    kind: Kind

    @property
    def text(self) -> str:
        """Both sides in one line, as a client's author is told of them."""
        return f"{self.page}; v2.12.2: {self.firmware}"


ROWS: Mapping[str, Difference] = {
    row.name: Difference(row.name, **row.metadata)
    for row in fields(Profile)
    if row.metadata
}
"""Every row of the table, by name."""


def _profile(name: str, *, goes_by_page: bool) -> Profile:
    return Profile(name, **dict.fromkeys(ROWS, goes_by_page))


DOCUMENTED = _profile("documented", goes_by_page=True)
STRICT = replace(DOCUMENTED, name="strict", is_strict=True)
"""`DOCUMENTED`, and what does not meet the page's demands is refused."""
FIRMWARE = _profile("firmware", goes_by_page=False)
