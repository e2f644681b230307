"""The HTTP edge of the control API, with handlers that only say who was asked."""

import asyncio
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest
from tests.each import each

from softaxe.api.access import Networks
from softaxe.control.app import ControlApp
from softaxe.serve.answers import Answer
from softaxe.serve.request import Request

HOST = (b"host", b"127.0.0.1:8100")
TOKEN = "geheim"


class Handlers:
    """Every operation there is."""

    def __getattr__(self, name: str) -> Any:
        async def told(request: Request) -> object:
            return {name: dict(request.path_params)}

        return told


def asked(
    method: str,
    path: str,
    *headers: tuple[bytes, bytes],
    client: str = "127.0.0.1",
    token: str = "",
    host: bytes = HOST[1],
    hosts: tuple[str, ...] = (),
    networks: Networks = (),
) -> Answer:
    own = (HOST[0], host)
    request = Request(method, path, headers=(own, *headers), client=client)
    app = ControlApp(Handlers(), token, hosts=hosts, networks=networks)
    return asyncio.run(app(request))


def test_names_in_a_path_are_decoded_and_told() -> None:
    answer = asked("DELETE", "/control/faults/a%2Fb")

    assert msgspec.json.decode(answer.body) == {"remove_fault": {"id": "a/b"}}


@pytest.mark.parametrize("path", ["/control/faults/", "/control/devices/a/b"])
def test_a_name_is_one_part_and_not_empty(path: str) -> None:
    assert asked("DELETE", path).status == 405


@each(
    ("client", "status"),
    [("127.0.0.1", 200), ("192.168.1.5", 200), ("::1", 200), ("8.8.8.8", 403)],
)
def test_clients_are_those_a_device_lets_in(client: str, status: int) -> None:
    assert asked("GET", "/control/fleet", client=client).status == status


def test_clients_of_other_networks_can_be_let_in() -> None:
    cloud = (ip_network("100.64.0.0/10"),)

    def status(client: str, networks: Networks = ()) -> int:
        return asked("GET", "/metrics", client=client, networks=networks).status

    assert status("100.64.3.4") == 403
    assert status("100.64.3.4", cloud) == 200
    assert status("8.8.8.8", cloud) == 403


@each(
    ("given", "status"),
    [
        (b"Bearer geheim", 200),
        (b"bearer  geheim", 200),
        (b"Bearer geheim2", 401),
        (b"Basic geheim", 401),
        (b"\xff", 401),
        (b"", 401),
    ],
)
def test_orders_need_the_token(given: bytes, status: int) -> None:
    headers = [(b"authorization", given)] if given else []
    for method, path in ("GET", "/control/fleet"), ("POST", "/control/shutdown"):
        answer = asked(method, path, *headers, token=TOKEN)
        assert answer.status == status
        is_asked_for = (b"WWW-Authenticate", b"Bearer") in answer.headers
        assert is_asked_for is (status == 401)
    assert asked("GET", "/metrics", *headers, token=TOKEN).status == status


@each("path", ["/", "/control/health", "/control/ready"])
def test_the_page_and_who_watches_a_process_need_none(path: str) -> None:
    assert asked("GET", path, token=TOKEN).status == 200


def test_no_site_shows_the_fleets_page_in_a_frame() -> None:
    assert (b"X-Frame-Options", b"DENY") in asked("GET", "/").headers


@each(
    ("host", "status"),
    [
        (b"fleet.example:8100", 200),
        (b"FLEET.example.", 200),
        (b"a.b.lab.example", 200),
        (b"lab.example", 403),
        (b"evilfleet.example", 403),
        (b"fleet", 403),
        (b"", 403),
    ],
)
def test_orders_come_under_names_that_are_allowed(host: bytes, status: int) -> None:
    hosts = ("Fleet.example", ".lab.example")

    assert asked("POST", "/control/reset", host=host, hosts=hosts).status == status


def test_other_sites_gain_nothing_by_an_allowed_name() -> None:
    def status(origin: bytes) -> int:
        page, host = (b"origin", origin), b"fleet.example:8100"
        hosts = ("fleet.example",)
        return asked("POST", "/control/reset", page, host=host, hosts=hosts).status

    assert status(b"http://fleet.example:8100") == 200
    assert status(b"http://fleet.example") == 403
    assert status(b"https://evil.example") == 403
    assert status(b"null") == 403


@each("path", ["/metrics", "/control/health", "/control/ready"])
@each(
    ("host", "status"),
    [
        (b"softaxe-0.softaxe.default.svc.cluster.local:8100", 200),
        (b"fleet:8100", 200),
        (b"fleet.lan", 200),
        (b"rebound.example", 403),
        (b"", 403),
    ],
)
def test_who_watches_may_use_any_name_that_no_web_site_can_have(
    path: str, host: bytes, status: int
) -> None:
    assert asked("GET", path, host=host).status == status
    page = (b"origin", b"http://rebound.example")
    assert asked("GET", path, page, host=host).status == 403
