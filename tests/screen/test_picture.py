import io

import pytest
from PIL import Image
from tests.each import each
from tests.mining import mining

from softaxe.screen.font import CELL_WIDTH, HEIGHT, LETTERS
from softaxe.screen.pages import Content, Picture
from softaxe.screen.picture import PANELS, Panel, draw, draw_content, panel_of
from softaxe.serve.screen_png import png

BY_COLUMNS = {tuple(columns): letter for letter, columns in LETTERS.items()}


def dots(image: Image.Image, x: int, top: int) -> int:
    """A column of seven dots, the lowest bit on top."""
    column = 0
    for y in range(HEIGHT):
        column |= bool(image.getpixel((x, top + y))) << y
    return column


def read(image: Image.Image, top: int, *, left: int = 0) -> str:
    """Read a line of text back from its dots."""
    text = ""
    for x in range(left, image.width - CELL_WIDTH + 1, CELL_WIDTH):
        columns = tuple(dots(image, x + n, top) for n in range(5))
        text += BY_COLUMNS.get(columns, "¿")
    return text.rstrip()


def test_four_lines_fill_the_small_panel() -> None:
    content = Content(("Gh/s: 1071.00", "J/Th: 17.50", "Best: 1.2k/3M", "Temp: 60°C"))
    image = draw_content(content, 128, 32, 0.0)

    assert [read(image, top) for top in (0, 8, 16, 24)] == list(content.lines)


@each("panel", PANELS.values())
@each("picture", [None, *Picture])
def test_every_page_has_room_on_every_panel_however_it_hangs(
    panel: Panel, picture: Picture | None
) -> None:
    content = Content(("a line that is too long",) * 4, picture, "WIFI:S:Bitaxe_1;;")

    for size in ((panel.width, panel.height), (panel.height, panel.width)):
        assert draw_content(content, *size, 5.0).size == size


def test_a_higher_panel_centres_and_spaces_them() -> None:
    content = Content(("one", "two", "three", "four"))
    image = draw_content(content, 128, 64, 0.0)

    assert [read(image, 14 + 9 * n) for n in range(4)] == list(content.lines)


def test_a_long_line_runs_round() -> None:
    text = "abcdefghijklmnopqrstuvwxyz"
    now = draw_content(Content((text,)), 128, 32, 0.0)
    later = draw_content(Content((text,)), 128, 32, 0.24)  # six dots on

    assert read(now, 0) == text[:21]
    assert read(later, 0) == text[1:22]


def test_a_new_page_pushes_the_old_one_aside() -> None:
    old, new = Content(("old",)), Content(("new",))
    half = Content(new.lines, pushed_aside=old, slide=0.5)
    image = draw_content(half, 128, 32, 0.0)

    assert read(image, 0, left=64) == "new"
    assert not any(dots(image, x, 0) for x in range(20))


def test_the_corner_stands_at_the_right() -> None:
    image = draw_content(Content(("text",), corner="x↑"), 128, 32, 0.0)

    assert read(image, 0, left=128 - 2 * CELL_WIDTH) == "x↑"


def test_a_qr_code_stands_beside_the_lines() -> None:
    content = Content(("Setup Wi-Fi:",), Picture.QR, "WIFI:S:Bitaxe_BBF1;;")
    image = draw_content(content, 128, 32, 0.0)

    assert read(image.crop((0, 0, 94, 32)), 0) == "Setup Wi-Fi:"
    code = image.crop((96, 0, 128, 32))
    finder = [bool(code.getpixel((3 + n, 3))) for n in range(8)]
    assert finder == [False] * 7 + [True]  # a dark edge on a lit ground


@pytest.mark.unwatched
@pytest.mark.parametrize("name", PANELS)
def test_every_panel_has_its_size_however_it_is_turned(name: str) -> None:
    for degrees in (0, 90, 180, 270):
        device = mining(26, display=name, rotation=degrees).device
        panel = panel_of(device)
        assert panel is not None
        image = draw(device, panel, device.now)
        assert image.size == (panel.width, panel.height)


def test_turning_and_inverting_only_turn_and_invert() -> None:
    plain = mining(26).device
    panel = panel_of(plain)
    assert panel is not None
    upright = draw(plain, panel, plain.now)
    turned = mining(26, rotation=180).device
    inverted = mining(26, invertscreen=1).device

    back = draw(turned, panel, plain.now).transpose(Image.Transpose.ROTATE_180)
    assert back.tobytes() == upright.tobytes()
    opposite = draw(inverted, panel, plain.now)
    assert all(
        bool(opposite.getpixel((x, y))) is not bool(upright.getpixel((x, y)))
        for x in range(128)
        for y in range(32)
    )


def test_a_new_rotation_waits_for_a_restart() -> None:
    device = mining(26).device
    panel = panel_of(device)
    assert panel is not None
    before = draw(device, panel, device.now)
    device.patch([("rotation", 180)], device.now)

    assert draw(device, panel, device.now).tobytes() == before.tobytes()


def test_without_a_display_there_is_no_panel() -> None:
    assert panel_of(mining(26, display="NONE").device) is None


@each("scale", [1, 2, 3, 8])
def test_the_png_is_as_large_as_asked_for(scale: int) -> None:
    image = draw_content(Content(("#",)), 128, 32, 0.0)
    decoded = Image.open(io.BytesIO(png(image, scale)))

    assert decoded.format == "PNG"
    assert decoded.size == (128 * scale, 32 * scale)
    colours = decoded.convert("RGB").getcolors()
    assert colours is not None
    assert len(colours) == 2
