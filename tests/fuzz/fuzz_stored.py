"""Settings as a damaged disk gives them back."""

import ast
from contextlib import suppress

from softaxe.api.views import info_body
from softaxe.catalog import USUAL_BOARD
from softaxe.device.device import Device
from softaxe.device.settings import Settings, sift_stored

CORPUS = [
    repr(Device(board=USUAL_BOARD).settings.to_nvs()).encode(),
    b"{'asicfrequency_f': 1e999, 'minfanspeed': 1000000000, 'hostname': b'\\xff'}",
    b"{'asicvoltage': 0, 'asicfrequency_f': 1e300, 'temptarget': -1, 'rotation': 7}",
    b"{'stratumport': '3333', 'stratumurl': 'a\\x00b', 'stratumuser': '\\ud800'}",
    b"{'pool_1': '{\"stratumURL\":5}', 'pool_2': '[', 'prim_idx': 9, 'sec_idx': 65535}",
    b"{'asicfrequency_f': '5e400', 'asicfrequency': 65535, 'statsLimit': 65535}",
    b"{'statsFrequency': 18446744073709551616, 'display': None, 'autofanspeed': 2.5}",
]
RUNS = 25
WALK_S = 3.0


def one_input(data: bytes) -> None:
    rows: object = None
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        rows = ast.literal_eval(data.decode("latin-1"))
    if not isinstance(rows, dict):
        return
    kept, complaints = sift_stored({str(key): value for key, value in rows.items()})
    for complaint in complaints:
        assert "\n" not in complaint
    device = Device(board=USUAL_BOARD, settings=kept)
    assert Settings.from_nvs(device.settings.to_nvs(), device.board) == device.settings
    device.step(WALK_S)
    info_body(device)
    for version in ("2.8.1", "2.10.1", "2.14.2", "2.15.0"):
        info_body(Device(board=USUAL_BOARD, settings=kept, firmware=version))
