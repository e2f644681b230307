"""A request's body: cJSON's reading of it, and the settings it asks for."""

from softaxe.api import cjson
from softaxe.catalog import USUAL_BOARD, board
from softaxe.device.patch import check_patch, unmet_demands
from softaxe.device.profile import DOCUMENTED, FIRMWARE, STRICT
from softaxe.device.settings import Settings
from softaxe.errors import SettingError

CORPUS = [
    b'{"frequency": 525.5, "coreVoltage": 1150, "hostname": "bitaxe"}',
    b'\xef\xbb\xbf {"stratumURL":"pool.example","stratumPort":3333} rest',
    b'{"overclockEnabled": true, "frequency": 1e3, "Frequency": .5e2}',
    b'{"wifiPass": "\\u0061b\\ud83d\\ude00", "ssid": "\xc3\xa9"}',
    b'{"autofanspeed": 2, "manualFanSpeed": 055, "temptarget": -1}',
    b'[{"a": [1, {"b": null}]}]',
]
BOARD = board(USUAL_BOARD)
FACTORY = Settings.from_nvs({}, BOARD)


def one_input(data: bytes) -> None:
    try:
        members = cjson.parse(data)
    except ValueError:
        return
    for _, value in members:
        cjson.document(value)
    for profile in (DOCUMENTED, STRICT, FIRMWARE):
        try:
            patch = check_patch(FACTORY, members, profile=profile, board=BOARD)
        except SettingError:
            continue
        changed = FACTORY.changed(patch.changes)
        assert Settings.from_nvs(changed.to_nvs(), BOARD) == changed
        if profile is STRICT:
            assert not patch.warnings
            assert not unmet_demands(changed, profile=profile, board=BOARD)
