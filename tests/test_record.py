import json

import pytest

from softaxe.errors import SettingError
from softaxe.record import Entry, Standins, cleaned, header, read_recording

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


def test_a_recording_is_read_as_it_was_written() -> None:
    entries = [
        Entry(0.0, "/api/system/info", 200, {"content-type": "application/json"}, "{}"),
        Entry(1.5, "", body="I (1) x: y\n"),
        Entry(2.0, "/api/system/info", 0),
    ]
    lines = [header("http://192.168.1.77", 5.0), *(e.to_line() for e in entries)]

    assert read_recording(lines, "x") == entries
    assert "192.168" not in lines[0]


@pytest.mark.parametrize(
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
