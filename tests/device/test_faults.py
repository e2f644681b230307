from tests.each import each

from softaxe.catalog import board
from softaxe.device.faults import has_part


@each(
    ("version", "part", "there", "lacking"),
    [
        ("601", "chip", 1, 2),
        ("702", "chip", 6, 7),
        ("601", "fan", 1, 2),
        ("302", "fan", 2, 3),
        ("601", "domain", 4, 5),
        ("102", "domain", 1, 2),
        ("302", "sensor", "chip2", "nothing"),
        ("601", "sensor", "vr", "chip2"),
        ("204", "sensor", "power", "vr"),
    ],
)
def test_a_board_has_its_parts_and_no_more(
    version: str, part: str, there: float | str, lacking: float | str
) -> None:
    assert has_part(board(version), part, there)
    if lacking != "nothing":
        assert not has_part(board(version), part, lacking)


def test_what_names_no_part_is_never_lacking() -> None:
    assert has_part(board("601"), "ths", 1e6)
    assert has_part(board("601"), "which", "all")
