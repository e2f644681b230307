import json

import pytest
from tests.each import each

from softaxe.errors import SettingError
from softaxe.recordings.record import (
    MOST_WORDS,
    Entry,
    Standins,
    cleaned,
    header,
    read_recording,
)

WALLET = "bc1qnp980s5fpp8l94p5cvttmtdqy8rvrq74qly2yrfmzkdsntqzlc5qkc4rkq"
INFO = f"""{{
\t"ssid":\t"My \\"Home\\" Net",
\t"macAddr":\t"10:F5:12:33:BB:F0",
\t"hostname":\t"livingroom",
\t"ipv4":\t"192.168.1.77",
\t"ipv6":\t"FE80::12F5:12FF:FE33:BBF0",
\t"stratumUser":\t"{WALLET}.kitchen",
\t"fallbackStratumUser":\t"{WALLET}.kitchen",
\t"power":\t12.300000190734863,
\t"temp":\t-1
}}"""
PRIVATE = ("Home", "33:BB:F0", "livingroom", "192.168", "FE33", WALLET, "kitchen")


def clean(text: str, standins: Standins | None = None) -> str:
    return cleaned(Entry(0, "/api/system/info", body=text), standins or Standins()).body


def test_nothing_private_is_left_and_no_number_changes() -> None:
    text = clean(INFO)

    assert not [word for word in PRIVATE if word in text]
    assert json.loads(text)["hostname"] == "bitaxe-1"
    assert "\t12.300000190734863," in text
    assert len(json.loads(text)["macAddr"]) == 17
    assert json.loads(text).keys() == json.loads(INFO).keys()


def test_nothing_private_of_newer_firmware_is_left() -> None:
    standins = Standins()
    info = {
        "hostname": "livingroom",
        "fullHostname": "livingroom.local",
        "mdnsHostname": "livingroom",
        "stratumCert": "-----BEGIN CERTIFICATE-----\nMIIB",
        "pools": [{"id": 0, "stratumUser": "me.rig", "stratumPassword": "geheim"}],
    }
    log = (
        "I (9) ble: Bitaxe-BBF0 at livingroom.local\n"
        'I (9) stratum_api: tx: {"id":3,"method":"mining.authorize",'
        '"params":["me.rig","geheim"]}\n'
    )

    told = json.loads(clean(json.dumps(info, separators=(",", ":")), standins))
    lines = cleaned(Entry(0, "/api/system/logs", body=log), standins).body

    assert told["fullHostname"] == f"{told['hostname']}.local" == "bitaxe-1.local"
    assert told["mdnsHostname"] == told["hostname"]
    assert told["stratumCert"] == told["pools"][0]["stratumPassword"] == "x"
    assert "me.rig" not in told["pools"][0]["stratumUser"]
    assert lines.startswith("I (9) ble: Bitaxe-0001 at bitaxe-1.local\n")
    for private in ("livingroom", "BBF0", "me.rig", "geheim", "MIIB"):
        assert private not in f"{told} {lines}"


def test_the_same_original_has_the_same_standin() -> None:
    standins = Standins()

    first, second = json.loads(clean(INFO, standins)), json.loads(clean(INFO, standins))

    assert first == second
    assert first["stratumUser"] == first["fallbackStratumUser"]
    assert first["stratumUser"].endswith(".worker")
    networks = '{"networks":[{"ssid":"A","rssi":-50},{"ssid":"B"},{"ssid":"A"}]}'
    names = [n["ssid"] for n in json.loads(clean(networks, standins))["networks"]]
    assert names == ["network-2", "network-3", "network-2"]


def test_log_lines_are_cleaned_too() -> None:
    standins = Standins()
    clean(INFO, standins)

    line = f"I (5) stratum: authorize {WALLET}.kitchen at livingroom, ip 192.168.1.77"
    found = cleaned(Entry(1, "", body=line), standins).body

    assert not [word for word in PRIVATE if word in found]
    assert found.startswith("I (5) stratum: authorize bc1q")
    line = "to 3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"
    stranger = cleaned(Entry(1, "", body=line), standins)
    assert "3J98t1" not in stranger.body


def log(text: str, standins: Standins) -> str:
    return cleaned(Entry(1, "", body=text), standins).body


def sent(text: str) -> str:
    """A line of the firmware's, as it leaves the WebSocket."""
    return f"\x1b[0;32mI (5123) stratum_api: tx: {text}\x1b[0m\n"


LOGIN = '{"id": 3, "method": "mining.authorize", "params": ['


@each(
    "line",
    [
        sent(f'{LOGIN}"me", "POOLPW"]}}'),
        sent('{"id":3,"method":"mining.authorize","params":["me","POOLPW"]}'),
        sent(f'{LOGIN}"me", "PO"O"LPW"]}}'),  # nothing is escaped
        sent(f'{LOGIN}"me", "POOLPW", d=1]}}'),
    ],
)
def test_the_pool_password_is_taken_out_of_the_log(line: str) -> None:
    found = log(line, Standins())

    assert "POOLPW" not in found
    assert "LPW" not in found
    message = json.loads(found.partition("tx: ")[2].removesuffix("\x1b[0m\n"))
    assert message["params"] == ["user1", "x"]
    assert found.endswith("\x1b[0m\n")


@each("size", range(60, 85))
def test_a_line_that_is_cut_off_keeps_no_password(size: int) -> None:
    line = f'tx: {LOGIN}"someuser", "POOLPASSWORD"]}}'[:size]

    found = log(line, Standins())

    assert "some" not in found
    assert "PO" not in found


def test_no_user_is_nobody_and_nowhere() -> None:
    standins = Standins()
    line = sent(f'{LOGIN}"", "x"]}}')

    assert log(line, standins) == line
    assert log("I (1) x: y z", standins) == "I (1) x: y z"


def test_users_are_taken_out_of_shares_whatever_they_are() -> None:
    line = '{"id": 9, "method": "mining.submit", "params": ["u", "6f1", "02", "65", "u"'

    assert '["user1", "6f1", "02", "65", "u"' in log(sent(line), Standins())


def test_names_are_known_in_the_log_however_they_were_written_in_answers() -> None:
    standins = Standins()
    body = json.dumps({"ssid": 'Café "5G" home'}, ensure_ascii=False)
    clean(body.encode().decode("latin-1"), standins)
    clean('{"ssid":"Br\\u00fccke"}', standins)

    line = 'I (1) connect: Connected to SSID: Café "5G" home, not to Brücke'
    found = log(line, standins)

    assert found == "I (1) connect: Connected to SSID: network-1, not to network-2"


def test_what_begins_like_something_else_is_replaced_whole() -> None:
    standins = Standins()
    clean('{"ssid":"home"}', standins)
    clean('{"ssid":"bitaxe"}', standins)
    clean('{"hostname":"bitaxe-home-lab"}', standins)
    clean(f'{{"stratumUser":"{WALLET}"}}', standins)
    clean(f'{{"stratumUser":"{WALLET}.garage rig"}}', standins)

    line = f"I (1) x: bitaxe-home-lab.local {WALLET}.garage rig, {WALLET}.attic"
    found = log(line, standins)

    assert not [word for word in ("home", "lab", "garage", "attic") if word in found]
    assert found.startswith("I (1) x: bitaxe-1.local bc1qstandin1q")


def test_one_wallet_has_one_standin() -> None:
    standins = Standins()
    user = json.loads(clean(f'{{"stratumUser":"{WALLET}.garage"}}', standins))
    found = json.loads(clean(f'{{"pool":"{WALLET}"}}', standins))

    assert user["stratumUser"] == f"{found['pool']}.worker"


def test_short_names_are_replaced_as_whole_words() -> None:
    standins = Standins()
    clean('{"ssid":"AB","stratumUser":"I"}', standins)

    found = log("I (1) connect: ABC, SSID: AB, user I", standins)

    assert found == "I (1) connect: ABC, SSID: network-1, user user1"


@each(
    "private",
    [
        "Bitaxe_BBF0",
        "Bitaxe_BBF1",  # the access point's MAC is the next one
        "10f51233bbf0",
        "10F51233BBF0",
        "10-f5-12-33-bb-f0",
        "fe80::12f5:12ff:fe33:bbf0",
        "fe80:0000:0000:0000:12f5:12ff:fe33:bbf0",
        "2001:db8::77",
        "85.214.132.117",
        "192.168.1.77",
        "BC1QNP980S5FPP8L94P5CVTTMTDQY8RVRQ74QLY2YRFMZKDSNTQZLC5QKC4RKQ",
        "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
    ],
)
def test_addresses_are_found_in_every_spelling(private: str) -> None:
    standins = Standins()
    clean(INFO, standins)
    clean('{"ipv4":"85.214.132.117"}', standins)

    found = log(f"I (1) tag: it is {private}, really", standins)

    assert private.lower() not in found.lower()
    assert "BBF" not in found.upper()
    assert found.startswith("I (1) tag: it is ")
    assert found.endswith(", really")


@each(
    "text",
    [
        "I (12345) asic_result: ID: 6f1, ASIC nr: 0, ver: 20000000 Nonce 160014AB",
        "I (1) connect: Netmask: 255.255.255.0, 12:34:56, v5.5.1",
        'I (1) stratum_api: tx: {"id": 2, "method": "mining.subscribe", "params": '
        '["bitaxe/BM1370/v2.12.2"]}',
    ],
)
def test_what_is_not_private_stays(text: str) -> None:
    standins = Standins()
    clean('{"ssid":"connect","hostname":"livingroom"}', standins)

    assert log(text, standins) == text


@each(
    "script",
    [
        "1600144c0b3d6cba3a4f7a7ad1bb1d6b5e0ff0d2bbf7f5",
        "220020" + "5e" * 32,
        "225120" + "5e" * 32,
        "1976a914" + "5e" * 20 + "88ac",
        "17a914" + "5e" * 20 + "87",
        "160014" + "5e" * 8,  # the line is cut off here
    ],
)
def test_jobs_do_not_tell_whom_they_pay(script: str) -> None:
    line = f'I (1) stratum_api: rx: {{"params":["6f1","00","0100f2052a01000000{script}'

    found = log(line, Standins())

    assert "5e5e" not in found
    assert "3d6cba" not in found
    assert len(found) == len(line)
    assert found.startswith(line[: line.index(script) + 4])


def test_a_body_that_is_cut_off_keeps_nothing_private() -> None:
    assert "Ho" not in clean('{"ssid":"Home')
    assert "Ho" not in clean('{"ssid":"Ho\\')


def test_a_recording_is_read_as_it_was_written() -> None:
    entries = [
        Entry(0.0, "/api/system/info", 200, {"content-type": "application/json"}, "{}"),
        Entry(1.5, "", body="I (1) x: y\n"),
        Entry(2.0, "/api/system/info", 0),
    ]
    lines = [header("http://192.168.1.77", 5.0), *(e.to_line() for e in entries)]

    assert read_recording(lines, "x") == entries
    assert "192.168" not in lines[0]


@each(
    ("lines", "complaint"),
    [
        (["{"], "line 1 is no JSON"),
        (["{}"], "is no recording of version 1"),
        (['{"softaxe-recording": 2}'], "is no recording of version 1"),
        (['{"softaxe-recording": 1}'], "holds no answer"),
        (['{"softaxe-recording": 1}', "[]"], "line 2: is no entry"),
        (['{"softaxe-recording": 1}', '{"at": 0, "path": "/"}'], "line 2: is no entry"),
        (['{"softaxe-recording": 1}', "[" * 100_000], "line 2 is no JSON"),
    ],
)
def test_what_is_no_recording_is_told(lines: list[str], complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_recording(lines, "x")

    assert complaint in str(caught.value)


@each(
    ("members", "complaint"),
    [
        ('"at": 1e999', "at: inf is no number of 0.."),
        ('"at": NaN', "at: nan is no number of 0.."),
        ('"at": -1', "at: -1 is no number of 0.."),
        ('"at": true', "at: True is no number of 0.."),
        ('"at": 0, "log": "\\ud800"', "log: '\\ud800' is no text"),
        ('"at": 0, "path": "x"', "path: 'x' is no path"),
        ('"at": 0, "path": "/", "status": 99', "status: 99 is no status"),
        ('"at": 0, "path": "/", "status": 1e999', "status: inf is no status"),
        (
            '"at": 0, "path": "/", "status": 200, "headers": {"a": "b\\r\\nc: d"}',
            "headers: {'a': 'b\\r\\nc: d'} is no table of headers",
        ),
        (
            '"at": 0, "path": "/", "status": 200, "headers": {}, "body": "\\u0100"',
            "body: 'Ā' is no Latin-1 text",
        ),
    ],
)
def test_what_no_device_can_have_said_is_told(members: str, complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_recording(['{"softaxe-recording": 1}', f"{{{members}}}"], "x")

    assert f"x: line 2: is no entry of a recording: {complaint}" in str(caught.value)


def test_entries_come_in_the_order_of_their_moments() -> None:
    lines = [
        '{"softaxe-recording": 1}',
        '{"at": 2, "path": "/", "status": 200, "headers": {}, "body": ""}',
        '{"at": 1.5, "log": "x"}',
    ]

    assert [entry.at_s for entry in read_recording(lines, "x")] == [1.5, 2]


@each("mac", ["A", "ab", 'a\\"\\"', "10:F5:12:33:BB:F0"])
def test_a_mac_of_any_shape_gets_a_standin(mac: str) -> None:
    found = json.loads(clean(f'{{"macAddr":"{mac}"}}'))["macAddr"]

    assert found.upper() == "02:00:00:00:00:01"


@pytest.mark.unwatched
def test_a_device_of_many_names_is_hidden_in_bounded_time_and_memory() -> None:
    standins = Standins()
    for number in range(600):
        a, b, c = number >> 8, number & 255, number * 7 & 255
        found = log(f"I (1) x: it is 10.{a}.{b}.{c} now", standins)
        assert f"10.{a}.{b}.{c}" not in found
        assert found.startswith("I (1) x: it is 192.0.2.")
    assert not standins.is_full


@pytest.mark.unwatched
def test_what_has_a_standin_keeps_it_however_many_there_are() -> None:
    standins = Standins()
    many = [f"10.0.{n >> 8}.{n & 255}" for n in range(300)]
    first = [log(f"I (1) x: {address}", standins) for address in many]

    assert [log(f"I (1) x: {address}", standins) for address in many] == first


def test_a_log_is_no_longer_hidden_in_when_there_are_more_names_than_fit() -> None:
    standins = Standins()
    names = [f'{{"ssid":"net {number}"}}' for number in range(MOST_WORDS + 1)]
    for body in names[:-1]:
        clean(body, standins)
    assert not standins.is_full

    assert "net " not in clean(names[-1], standins)

    assert standins.is_full
