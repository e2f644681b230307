from tests.each import each

from softaxe.api.routes import routes_of
from softaxe.catalog.firmware import Route, firmware, versions
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile


def route(version: str, profile: Profile, method: str, path: str) -> Route | None:
    of = firmware(version)
    for one in routes_of(of, profile.on(of)):
        if (one.method, one.path) == (method, path):
            return one
    return None


@each("version", versions())
def test_a_version_s_routes_come_first_and_in_its_order(version: str) -> None:
    of = firmware(version)

    assert routes_of(of, FIRMWARE.on(of)) == of.routes
    names = [(one.method, one.path) for one in routes_of(of, DOCUMENTED)]
    assert names[: len(of.routes)] == [(one.method, one.path) for one in of.routes]
    assert len(set(names)) == len(names)


@each("version", ["2.8", "2.12", "2.15"])
def test_the_page_s_routes_are_there_on_every_version(version: str) -> None:
    for method, path in (
        ("GET", "/api/system/statistics/dashboard"),
        ("POST", "/api/system/identify"),
    ):
        found = route(version, DOCUMENTED, method, path)
        assert found is not None
        assert (found.is_checked, found.cors) == (True, "full")
        assert found.content_type == "application/json"


def test_the_page_checks_and_answers_json_where_the_version_does_not() -> None:
    for profile, is_checked, kind in (
        (DOCUMENTED, True, "application/json"),
        (FIRMWARE, False, "text/html"),
    ):
        scan = route("2.9", profile, "GET", "/api/system/wifi/scan")
        restart = route("2.9", profile, "POST", "/api/system/restart")
        assert scan is not None
        assert restart is not None
        assert (scan.is_checked, restart.content_type) == (is_checked, kind)
