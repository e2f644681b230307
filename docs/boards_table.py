"""Writes the table of docs/boards.md: every board at its defaults after an hour.

`make docs` runs it; tests/scenarios/test_boards.py compares some of its rows.
"""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from softaxe import Device, Pool, Simulation
from softaxe.api.docs import table
from softaxe.catalog import BASE_FIRMWARE, Board, boards

PAGE = Path(__file__).parent / "boards.md"
BEGIN = "<!-- table of boards: made by make docs -->"
END = "<!-- end of the table -->"
HEADS = (
    "board",
    "family",
    "chips",
    "expected GH/s",
    "simulated GH/s",
    "power W",
    "temp °C",
    "temp2 °C",
    "vrTemp °C",
    "fan",
    "since",
)
HOUR_S = 3600
SEED = 1


def board_row(row: Board) -> list[str]:
    """Simulate an hour and read what the API would show."""
    device = Device(board=row, seed=SEED)
    Simulation(device, Pool.for_scaled_work(seed=SEED)).advance(HOUR_S)
    read = device.readings
    speeds = [read.fan_rpm, read.fan2_rpm][: row.fan_count]
    rpm = " and ".join(str(round(rpm, -1)) for rpm in speeds)
    return [
        f"`{row.version}`",
        row.family,
        f"{row.asic_count} x {row.chip.name}",
        f"{device.expected_hashrate_hs / 1e9:.0f}",
        f"{device.hashrate.one_hour_hs / 1e9:.0f}",
        f"{read.power_w:.1f}",
        f"{read.temp_c:.1f}",
        f"{read.temp2_c:.1f}" if row.sensor_count > 1 else "none",
        f"{read.vr_temp_c:.0f}" if row.has_tps546 else "none",
        f"{read.fan_percent:.0f} %, {rpm} rpm",
        "" if row.since_firmware == BASE_FIRMWARE else row.since_firmware,
    ]


def main() -> None:
    """Put the table into the page, between its markers."""
    with ProcessPoolExecutor() as executor:
        rows = list(executor.map(board_row, boards()))
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n\n{table(HEADS, rows)}\n\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
