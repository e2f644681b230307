import socket
from typing import NoReturn

import pytest
from tests.each import each

from softaxe.serve.addresses import address_of, found_at, ipv4_of


@each(
    ("host", "address"),
    [("127.0.0.5", "127.0.0.5"), ("localhost", "127.0.0.1"), ("::1", None)],
)
def test_where_others_find_a_device(host: str, address: str | None) -> None:
    assert address_of(host) == address


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_who_listens_everywhere_is_found_at_one_address(host: str) -> None:
    assert socket.inet_aton(found_at(host)) != bytes(4)
    assert found_at(host) == ipv4_of(host) == address_of(host)


def test_a_network_that_leads_nowhere_has_the_address_of_its_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unreachable(socket.socket):
        def connect(self, _address: object) -> NoReturn:
            raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "socket", Unreachable)
    monkeypatch.setattr(socket, "gethostbyname", {socket.gethostname(): "10.9.8.7"}.get)

    assert found_at("0.0.0.0") == "10.9.8.7"


@pytest.mark.parametrize(
    ("advertised", "ipv4"), [("192.0.2.7", "192.0.2.7"), ("fd00::7", "10.0.0.1")]
)
def test_what_is_advertised_goes_first(advertised: str, ipv4: str) -> None:
    assert found_at("10.0.0.1", advertised) == advertised
    assert ipv4_of("10.0.0.1", advertised) == ipv4
    assert ipv4_of("10.0.0.1", "fleet.example") == "10.0.0.1"
