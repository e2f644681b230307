"""Which routes a device has: those of its version, and what the API page adds to them.

The server answers them, the OpenAPI document and docs/api.md describe them.
"""

from collections.abc import Mapping
from functools import cache

from msgspec.structs import replace

from softaxe.catalog.firmware import Firmware, Route
from softaxe.device.profile import Profile

Key = tuple[str, str]
"""Method and path of a route."""

JSON = "application/json"
HTML = "text/html"
_DASHBOARD = "/api/system/statistics/dashboard"
_IDENTIFY = "/api/system/identify"
_PAGE_ROUTES: tuple[tuple[Route, str], ...] = (
    (Route("GET", _DASHBOARD, True, "full", JSON), "dashboard_exists"),
    (Route("POST", _IDENTIFY, True, "full", JSON), "identify_exists"),
    (Route("OPTIONS", _IDENTIFY, True, "full", HTML), "identify_exists"),
)
"""What the API page has on every version, and the row of the profile that says so."""
_PAGE_CHECKS: Mapping[Key, str] = {
    ("POST", "/api/theme"): "theme_access_checked",
    ("GET", "/api/system/wifi/scan"): "scan_access_checked",
}
"""Where access is checked on every version, and the row that says so."""
_PAGE_JSON: Mapping[Key, str] = {
    ("POST", "/api/system/restart"): "actions_answer_json",
    ("POST", _IDENTIFY): "actions_answer_json",
    ("PATCH", "/api/system"): "patch_answers_json",
}
"""Where a success is JSON on every version, and the row that says so."""


@cache
def routes_of(firmware: Firmware, profile: Profile) -> tuple[Route, ...]:
    """Return a version's routes in a profile, in the order of looking them up.

    Args:
        firmware: The version.
        profile: The profile over it, as `Profile.on` returns it.
    """
    own = tuple(_by_page(route, profile) for route in firmware.routes)
    return own + tuple(
        route
        for route, row in _PAGE_ROUTES
        if profile.keeps(row) and not _has(firmware, route)
    )


@cache
def has_route(firmware: Firmware, profile: Profile, method: str, path: str) -> bool:
    """True for a route of this very path; firmware and profile as of `routes_of`."""
    return any(
        (route.method, route.path) == (method, path)
        for route in routes_of(firmware, profile)
    )


def _has(firmware: Firmware, route: Route) -> bool:
    paths = (route.path, "/api/*") if route.method == "OPTIONS" else (route.path,)
    return any(firmware.has_route(route.method, path) for path in paths)


def _by_page(route: Route, profile: Profile) -> Route:
    key = route.method, route.path
    is_checked = key in _PAGE_CHECKS and profile.keeps(_PAGE_CHECKS[key])
    is_json = key in _PAGE_JSON and profile.keeps(_PAGE_JSON[key])
    return replace(
        route,
        is_checked=route.is_checked or is_checked,
        content_type=JSON if is_json else route.content_type,
    )
