"""Where the API page and the firmware differ, as one table.

The page is the promise softaxe keeps by default (`DOCUMENTED`); `FIRMWARE` does what
v2.12.2 does. A difference is looked up where it matters, by its name here. The table in
docs/fidelity.md is made of this one.
"""

from dataclasses import dataclass, field, fields


def _row(page: str, firmware: str) -> bool:
    kept: bool = field(metadata={"page": page, "firmware": firmware})
    return kept


@dataclass(frozen=True, slots=True)
class Profile:
    """One field per difference; True keeps the page's promise."""

    name: str
    fanspeed_sets_fan: bool = _row(
        "`fanspeed` in a PATCH sets the manual fan speed",
        "`fanspeed` is an unknown key and ignored",
    )
    wide_target_temperature: bool = _row("`temptarget` 0 to 100", "35 to 66")
    port_zero_refused: bool = _row("ports 1 to 65535", "0 to 65535")
    hostname_checked: bool = _row(
        "`hostname` holds letters, digits and hyphens only", "any 1 to 32 bytes"
    )
    short_wifi_password_refused: bool = _row(
        "`wifiPass` has 8 to 63 characters, or none for an open network",
        "0 to 63 bytes",
    )
    overclock_guarded: bool = _row(
        "`frequency` and `coreVoltage` outside the board's options need "
        "`overclockEnabled` 1, stored or in the same request",
        "any value from 1 to 65535; the flag has no effect",
    )
    pool_url_scheme_understood: bool = _row(
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
    dashboard_exists: bool = _row(
        "`statistics/dashboard` exists", "it was removed: JSON 404"
    )
    response_time_column: bool = _row(
        "statistics have a column `responseTime`", "the column is unknown"
    )
    columns_decoded: bool = _row(
        "`columns` may be percent-encoded, as HTTP clients send it",
        "a percent-encoded comma makes one unknown column",
    )
    image_refused_with_reason: bool = _row(
        "a refused image is a 400 with the reason, and nothing is changed",
        "500 with a fixed text; a www image is stored unchecked",
    )
    patch_errors_explained: bool = _row(
        "a PATCH error is JSON and names field, value and what is allowed",
        "`Wrong API input` or `Invalid JSON` as text",
    )
    patch_answers_json: bool = _row(
        "an accepted PATCH answers `{}`", "an empty chunked body of type text/html"
    )
    actions_answer_json: bool = _row(
        'restart and identify answer JSON, `{"message": ...}`', "plain text"
    )
    chunked_bodies_read: bool = _row(
        "a request body may come in chunks, as HTTP clients stream it",
        "only Content-Length counts; a chunked body is empty",
    )
    websocket_refused_early: bool = _row(
        "a WebSocket is refused with 401 or 429 before the upgrade",
        "it is accepted and then closed",
    )
    subscription_needed: bool = _row(
        "a pool that refuses `mining.subscribe`, or gives no usable extranonce, is "
        "left and tried again after 5 s, as one that cannot be reached",
        "the extranonce of an earlier connection is used; at a job without any since "
        "boot, or of a size below 0, the device crashes",
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of the table, in words."""

    name: str
    page: str
    firmware: str


def differences() -> tuple[Difference, ...]:
    """Every row of the table."""
    return tuple(
        Difference(row.name, row.metadata["page"], row.metadata["firmware"])
        for row in fields(Profile)
        if row.metadata
    )


def _profile(name: str, *, keeps_promises: bool) -> Profile:
    return Profile(name, **{row.name: keeps_promises for row in differences()})


DOCUMENTED = _profile("documented", keeps_promises=True)
FIRMWARE = _profile("firmware", keeps_promises=False)
