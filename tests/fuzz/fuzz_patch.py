"""A request's body: cJSON's reading of it, and the settings it asks for."""

from softaxe import cjson
from softaxe.catalog import USUAL_BOARD, board
from softaxe.catalog.firmware import firmware
from softaxe.device.patch import check_patch, unmet_demands
from softaxe.device.profile import DOCUMENTED, FIRMWARE, STRICT
from softaxe.device.settings import Settings, rows_to_save
from softaxe.errors import SettingError

CORPUS = [
    b'{"frequency": 525.5, "coreVoltage": 1150, "hostname": "bitaxe"}',
    b'\xef\xbb\xbf {"stratumURL":"pool.example","stratumPort":3333} rest',
    b'{"overclockEnabled": true, "frequency": 1e3, "Frequency": .5e2}',
    b'{"wifiPass": "\\u0061b\\ud83d\\ude00", "ssid": "\xc3\xa9"}',
    b'{"autofanspeed": 2, "manualFanSpeed": 055, "temptarget": -1}',
    b'[{"a": [1, {"b": null}]}]',
    b'{"pools":[{"id":2,"stratumURL":"a","stratumPort":1,"stratumUser":"u",'
    b'"stratumTLS":1,"stratumPassword":"*****","stratumV2RequireAuth":0.5}]}',
]
BOARD = board(USUAL_BOARD)
RELEASES = tuple(map(firmware, ("2.8.1", "2.10.1", "2.12.2", "2.14.2", "2.15.0")))
CASES = [
    (release, profile, Settings.from_nvs({}, BOARD, release, profile=profile))
    for release in RELEASES
    for profile in (DOCUMENTED, STRICT, FIRMWARE)
]


def one_input(data: bytes) -> None:
    try:
        members = cjson.parse(data)
    except ValueError:
        return
    for _, value in members:
        cjson.document(value)
    for release, profile, factory in CASES:
        try:
            patch = check_patch(
                factory, members, profile=profile, board=BOARD, release=release
            )
        except SettingError:
            continue
        changes = factory.completed(patch.changes)
        changed = factory.changed(changes)
        rows = rows_to_save(changes, {}, release, profile=profile)
        again = Settings.from_nvs(rows, BOARD, release, profile=profile)
        assert release.rows.empty_text_is_default or again == changed
        if profile is STRICT:
            assert not patch.warnings
            unmet = unmet_demands(
                changed, profile=profile, board=BOARD, release=release
            )
            assert not unmet
