from ipaddress import IPv4Address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from tests.each import each

from softaxe.api.access import inet_addr, is_allowed, is_loopback, is_near
from softaxe.device.profile import DOCUMENTED, FIRMWARE, Profile

PRIVATE = "192.168.1.20"
LOOPBACK = "127.0.0.1"


def allowed_as_documented(
    client_ip: str = LOOPBACK, *, origin: str | None = None, host: str | None = None
) -> bool:
    return is_allowed(
        client_ip,
        origin,
        host,
        profile=DOCUMENTED,
        hostname="Bitaxe-7",
        is_ap_enabled=False,
    )


def allowed_by_firmware(
    client_ip: str = PRIVATE, *, origin: str | None = None, host: str | None = None
) -> bool:
    return is_allowed(
        client_ip,
        origin,
        host,
        profile=FIRMWARE,
        hostname="Bitaxe-7",
        is_ap_enabled=False,
    )


def allowed_by_name(
    client_ip: str = PRIVATE,
    *,
    origin: str | None = None,
    profile: Profile = FIRMWARE,
    hostname: str = "my.rig",
) -> bool:
    """As from 2.15 on."""
    return is_allowed(
        client_ip,
        origin,
        None,
        profile=profile,
        hostname=hostname,
        is_ap_enabled=False,
        trusts_names=True,
    )


@each(
    "origin",
    [
        "http://192.168.1.9",
        "http://bitaxe",
        "http://localhost:4200",
        "http://Other.LOCAL:8080",
        "http://[fd00::1]",
        "http://my.rig",
        "http://my.rig:81",
        "http://my.rig.local",
    ],
)
def test_pages_of_local_names_may_ask_from_anywhere(origin: str) -> None:
    assert allowed_by_name(origin=origin)
    is_address = origin == "http://192.168.1.9"
    assert allowed_by_name("203.0.113.5", origin=origin) is not is_address
    assert not allowed_by_name("203.0.113.5", origin=origin, profile=DOCUMENTED)


@each(
    "origin",
    [
        "http://192.168.1.5:8080",
        "http://10.1",
        "http://example.com",
        "http://.local",
        "http://my.rigged",
        "https://bitaxe",
        "http://",
        "null",
        "",
    ],
)
def test_other_pages_may_not(origin: str) -> None:
    is_number = origin == "http://10.1"
    assert not allowed_by_name(origin=origin)
    assert allowed_by_firmware(origin=origin) is is_number


def test_who_has_no_page_needs_a_private_address_as_ever() -> None:
    assert allowed_by_name()
    assert not allowed_by_name("203.0.113.5")
    assert not allowed_by_name(LOOPBACK)
    assert allowed_by_name(LOOPBACK, origin="http://bitaxe.local", profile=DOCUMENTED)


@each(
    ("text", "address"),
    [
        ("192.168.1.9", "192.168.1.9"),
        ("10.1", "10.0.0.1"),
        ("10.1.2", "10.1.0.2"),
        ("10.65535.", None),
        ("10.1.65535", "10.1.255.255"),
        ("10.1.65536", None),
        ("3232235777", "192.168.1.1"),
        ("0xC0A80101", "192.168.1.1"),
        ("0xc0.0250.1.1", "192.168.1.1"),
        ("012.0.0.1", "10.0.0.1"),
        ("08.0.0.1", None),
        ("0x.0.0.1", "0.0.0.1"),
        ("256.1.1.1", None),
        ("1.2.3.256", None),
        ("1.2.3.4.5", None),
        ("192.168.1.5:81", None),
        ("192.168.1.5 :81", "192.168.1.5"),
        ("4294967297", "0.0.0.1"),
        ("bitaxe", None),
        ("+1", None),
        ("-1", None),
        ("1_0", None),
        ("١٠.0.0.1", None),
        ("", None),
    ],
)
def test_addresses_are_read_as_lwip_reads_them(text: str, address: str | None) -> None:
    assert inet_addr(text) == (address and IPv4Address(address))


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_every_dotted_quad_reads_as_itself(number: int) -> None:
    address = IPv4Address(number)

    assert inet_addr(str(address)) == address


@given(st.text(max_size=20))
def test_any_text_is_an_address_or_none(text: str) -> None:
    assert isinstance(inet_addr(text), IPv4Address | None)


class TestFirmwareRule:
    @each(
        ("client_ip", "is_expected"),
        [
            ("10.0.0.1", True),
            ("172.16.0.1", True),
            ("172.31.255.255", True),
            ("172.32.0.1", False),
            ("192.168.0.1", True),
            ("::ffff:192.168.0.1", True),
            ("127.0.0.1", False),
            ("::1", False),
            ("169.254.1.1", False),
            ("100.64.0.1", False),
            ("8.8.8.8", False),
            ("fe80::1%eth0", False),
            ("2001:db8::c0a8:1", True),  # it reads the low 32 bits, whatever they are
            ("", False),
            ("testclient", False),
        ],
    )
    def test_only_private_clients_are_let_in(
        self, client_ip: str, *, is_expected: bool
    ) -> None:
        assert allowed_by_firmware(client_ip) is is_expected

    @each(
        ("origin", "is_expected"),
        [
            ("http://192.168.1.9", True),
            ("http://192.168.1.9/", True),
            ("http://10.1", True),
            ("xhttp://192.168.1.9", True),
            ("http://bitaxe", False),
            ("http://bitaxe.local", False),
            ("http://192.168.1.9:8080", False),
            ("https://192.168.1.9", False),
            ("http://8.8.8.8", False),
            ("http://0000192.168.1.9", False),
            ("null", False),
            ("", False),
            ("http://", False),
            ("http://" + "a" * 120, False),
            ("http://" + "a" * 121, True),  # too long for its buffer: not seen
        ],
    )
    def test_the_page_must_be_private_too(
        self, origin: str, *, is_expected: bool
    ) -> None:
        assert allowed_by_firmware(origin=origin) is is_expected

    def test_a_private_page_does_not_help_a_public_client(self) -> None:
        assert not allowed_by_firmware("8.8.8.8", origin="http://192.168.1.9")

    def test_a_page_of_the_device_itself_is_refused_on_a_port(self) -> None:
        assert not allowed_by_firmware(
            origin="http://192.168.1.9:8080", host="192.168.1.9:8080"
        )


def allowed_in_setup_mode(client_ip: str, origin: str, profile: Profile) -> bool:
    return is_allowed(
        client_ip,
        origin,
        "127.0.0.1:8080",
        profile=profile,
        hostname="bitaxe",
        is_ap_enabled=True,
    )


def test_in_setup_mode_the_firmware_lets_everybody_in() -> None:
    assert allowed_in_setup_mode("8.8.8.8", "https://example.com", FIRMWARE)


def test_in_setup_mode_other_sites_stay_out_where_there_is_no_radio() -> None:
    assert not allowed_in_setup_mode("127.0.0.1", "https://example.com", DOCUMENTED)
    assert not allowed_in_setup_mode("8.8.8.8", "http://127.0.0.1:8080", DOCUMENTED)
    assert allowed_in_setup_mode("127.0.0.1", "http://127.0.0.1:8080", DOCUMENTED)


def test_a_host_name_with_a_dot_makes_no_foreign_page_the_devices_own() -> None:
    def allowed(name: str) -> bool:
        return is_allowed(
            LOOPBACK,
            f"http://{name}",
            name,
            profile=DOCUMENTED,
            hostname=name,
            is_ap_enabled=False,
        )

    assert allowed("my_bitaxe")
    assert not allowed("stranger.example")


@each(
    "host",
    [
        "bitaxe.fritz.box",
        "bitaxe.localdomain",
        "miner.example.com:8080",
        "192.168.1.9:8080",
        "bitaxe.local",
        "bitaxe",
        None,
    ],
)
def test_on_a_network_a_device_answers_to_whatever_its_owner_calls_it(
    host: str | None,
) -> None:
    assert allowed_as_documented(PRIVATE, host=host)
    assert allowed_by_firmware(PRIVATE, host=host)


@each(
    ("client_ip", "is_expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.1.5", True),
        ("::ffff:10.0.0.1", True),
        ("8.8.8.8", False),
        ("", False),
    ],
)
def test_who_is_near_has_a_private_address(
    client_ip: str, *, is_expected: bool
) -> None:
    assert is_near(client_ip) is is_expected


@each(
    ("host", "is_expected"),
    [("127.0.0.1", True), ("LOCALHOST", True), ("::1", True), ("0.0.0.0", False)],
)
def test_only_this_machine_reaches_loopback(host: str, *, is_expected: bool) -> None:
    assert is_loopback(host) is is_expected


class TestDocumentedRule:
    @each(
        ("client_ip", "is_expected"),
        [
            ("127.0.0.1", True),
            ("127.8.9.10", True),
            ("::1", True),
            ("::ffff:127.0.0.1", True),
            ("::ffff:192.168.0.1", True),
            ("192.168.0.1", True),
            ("8.8.8.8", False),
            ("2001:db8::c0a8:1", False),
            ("", False),
        ],
    )
    def test_private_and_loopback_clients_are_let_in(
        self, client_ip: str, *, is_expected: bool
    ) -> None:
        assert allowed_as_documented(client_ip) is is_expected

    @each(
        ("origin", "host", "is_expected"),
        [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
            ("https://127.0.0.1", "127.0.0.1", True),
            ("http://127.0.0.1:4200", "127.0.0.1:8080", True),
            ("http://localhost:4200", "127.0.0.1:8080", True),
            ("http://[::1]:8080", "[::1]:8080", True),
            ("http://192.168.1.9", "127.0.0.1:8080", True),
            ("http://192.168.1.9:8080", "127.0.0.1:8080", False),
            ("http://bitaxe-7:8080", "Bitaxe-7:8080", True),
            ("http://bitaxe-7.local", "bitaxe-7.local", True),
            ("http://other", "other", False),
            ("https://example.com", "127.0.0.1:8080", False),
            ("http://example.com:8080", "example.com:8080", False),
            ("http://localhost.example.com", "localhost.example.com", False),
            ("http://127.0.0.1.example.com", "127.0.0.1.example.com", False),
            ("http://localhost@example.com", "example.com", False),
            ("http://8.8.8.8:8080", "8.8.8.8:8080", False),
            ("null", "127.0.0.1:8080", False),
            ("", "127.0.0.1:8080", False),
            ("http://" + "a" * 121, "127.0.0.1:8080", False),
        ],
    )
    def test_a_loopback_client_may_come_from_a_page_of_this_machine(
        self, origin: str, host: str, *, is_expected: bool
    ) -> None:
        assert allowed_as_documented(origin=origin, host=host) is is_expected

    @each(
        ("origin", "host", "is_expected"),
        [
            ("http://192.168.1.9:8080", "192.168.1.9:8080", True),
            ("http://192.168.1.9:9999", "192.168.1.9:8080", True),
            ("https://192.168.1.9", "192.168.1.9", True),
            ("http://192.168.1.9:8080", "192.168.1.10:8080", False),
            ("http://bitaxe-7", "bitaxe-7", True),
            ("http://localhost:4200", "192.168.1.9:8080", False),
            ("http://127.0.0.1:4200", "192.168.1.9:8080", False),
            # A published container port: the client's address is the gateway's.
            ("http://localhost:8080", "localhost:8080", True),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
            ("http://example.com", "example.com", False),
            ("http://192.168.1.9:8080", None, False),
        ],
    )
    def test_a_private_client_may_come_from_the_devices_own_page(
        self, origin: str, host: str | None, *, is_expected: bool
    ) -> None:
        assert allowed_as_documented(PRIVATE, origin=origin, host=host) is is_expected

    @each(
        ("host", "is_expected"),
        [
            ("127.0.0.1:8080", True),
            ("[::1]:8080", True),
            ("localhost:8080", True),
            ("bitaxe-7.local", True),
            ("my-machine", True),
            ("axe.localhost", True),
            ("rebound.example.com:8080", False),
        ],
    )
    def test_a_name_pointed_at_this_machine_reads_nothing(
        self, host: str, *, is_expected: bool
    ) -> None:
        assert allowed_as_documented(LOOPBACK, host=host) is is_expected

    @given(
        st.ip_addresses(v=4) | st.ip_addresses(v=4, network="172.0.0.0/8"),
        st.sampled_from(["http://192.168.1.9", "http://10.1", "http://8.8.8.8", None]),
    )
    def test_it_allows_whatever_the_firmware_allows_an_ipv4_client(
        self, client: IPv4Address, origin: str | None
    ) -> None:
        if allowed_by_firmware(str(client), origin=origin):
            assert allowed_as_documented(str(client), origin=origin)


SHARED = (ip_network("100.64.0.0/10"), ip_network("fd00::/8"))
"""Of carriers, which clouds use too, and what IPv6 has for private ones."""


@each("trusts_names", [False, True])
@each("profile", [DOCUMENTED, FIRMWARE])
@each(
    ("client", "origin", "host", "is_expected"),
    [
        ("100.64.0.9", None, None, True),
        ("::ffff:100.64.0.9", None, None, True),
        ("fd00::9", None, "[fd00::1]:8080", True),
        ("192.168.1.5", None, None, True),
        ("8.8.8.8", None, None, False),
        ("fe00::9", None, None, False),
        # Pages that the device serves itself, and no other site's.
        ("100.64.0.9", "http://100.64.0.7:8080", "100.64.0.7:8080", True),
        ("192.168.1.5", "http://100.64.0.7", "100.64.0.7", True),
        ("fd00::9", "http://[fd00::1]:8080", "[fd00::1]:8080", True),
        ("100.64.0.9", "http://192.168.1.5", "100.64.0.7", True),
        ("100.64.0.9", "http://100.64.0.8", "100.64.0.7", False),
        ("100.64.0.9", "https://evil.example", "evil.example", False),
        ("8.8.8.8", "http://100.64.0.7", "100.64.0.7", False),
    ],
)
def test_networks_can_be_let_in(
    client: str,
    origin: str | None,
    host: str | None,
    profile: Profile,
    *,
    trusts_names: bool,
    is_expected: bool,
) -> None:
    found = is_allowed(
        client,
        origin,
        host,
        profile=profile,
        hostname="bitaxe",
        is_ap_enabled=False,
        trusts_names=trusts_names,
        networks=SHARED,
    )

    assert found is is_expected


def test_who_lets_all_the_world_in_lets_no_other_page_in() -> None:
    everybody = (ip_network("0.0.0.0/0"),)
    arguments = {"profile": DOCUMENTED, "hostname": "bitaxe", "is_ap_enabled": False}

    def allowed(origin: str, host: str) -> bool:
        return is_allowed("8.8.8.8", origin, host, networks=everybody, **arguments)

    assert allowed("http://203.0.113.7", "203.0.113.7")
    assert not allowed("http://6.6.6.6", "203.0.113.7")
    assert not allowed("http://rebound.example", "rebound.example")
    assert is_near("8.8.8.8", everybody)
