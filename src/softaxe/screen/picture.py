"""From what the screen says to the dots of its panel.

Text stands in cells of 6 by 8 dots, left aligned and, on panels that are higher than
the page, centred with a dot between the lines. Source: ESP-Miner screen.c, display.c.
"""

from dataclasses import dataclass
from functools import cache

import segno
from PIL import Image, ImageChops, ImageDraw

from softaxe.device.device import Device
from softaxe.screen.font import CELL_HEIGHT, CELL_WIDTH, HEIGHT, columns_of
from softaxe.screen.pages import Content, Picture, content_of

PAGE_LINES = 4
SCROLL_DOTS_S = 25.0
SCROLL_GAP = "   "
QR_DOTS = 32
HI_DOTS = (44, 30)
LIT_DOT = 255
TURNS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
"""Clockwise, as the setting counts; Pillow counts the other way."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Size of a panel in dots."""

    width: int
    height: int


PANELS = {
    "SSD1306 (128x32)": Panel(128, 32),
    "SSD1309 (128x64)": Panel(128, 64),
    "SH1107 (64x128)": Panel(64, 128),
    "SH1107 (128x128)": Panel(128, 128),
}
"""By the name in the settings; what is not here shows nothing."""


def panel_of(device: Device) -> Panel | None:
    """The device's panel, or None without one."""
    return PANELS.get(device.display.panel_name)


def draw(
    device: Device, panel: Panel, now: float, content: Content | None = None
) -> Image.Image:
    """Draw the panel as it hangs: one bit per dot, turned and inverted as set.

    Args:
        device: Whose.
        panel: Which.
        now: Device time.
        content: What it says; by default what the device shows.
    """
    display = device.display
    is_sideways = display.rotation_degrees in (90, 270)
    width, height = panel.width, panel.height
    if is_sideways:
        width, height = height, width
    said = content_of(device, now) if content is None else content
    image = draw_content(said, width, height, now)
    if turn := TURNS.get(display.rotation_degrees):
        image = image.transpose(turn)
    return ImageChops.invert(image) if display.is_inverted else image


def draw_content(content: Content, width: int, height: int, now: float) -> Image.Image:
    """Draw a screenful upright."""
    image = Image.new("1", (width, height))
    if content.is_dark:
        return image
    if content.is_saying_hi:
        hi = _hi()
        image.paste(hi, ((width - hi.width) // 2, (height - hi.height) // 2))
        return image
    left = round((1 - content.slide) * width)
    if content.pushed_aside is not None:
        aside = draw_content(content.pushed_aside, width, height, now)
        image.paste(aside, (left - width, 0))
    image.paste(_page(content, width, height, now), (left, 0))
    if content.corner:
        corner = _text(content.corner)
        image.paste(corner, (width - corner.width, 0))
    return image


def _page(content: Content, width: int, height: int, now: float) -> Image.Image:
    image = Image.new("1", (width, height))
    line_height = CELL_HEIGHT if height <= PAGE_LINES * CELL_HEIGHT else CELL_HEIGHT + 1
    top = max(0, (height - PAGE_LINES * line_height) // 2)
    room, left = width, 0
    if content.picture is Picture.QR and width > QR_DOTS * 2:
        qr = _qr(content.qr_text)
        image.paste(qr, (width - QR_DOTS, (height - QR_DOTS) // 2))
        room = width - QR_DOTS - 2
    elif content.picture is Picture.BITAXE:
        logo = _bitaxe()
        image.paste(logo, (0, (height - logo.height) // 2))
        left, room = logo.width + 2, max(0, width - logo.width - 2)
        top += line_height
    elif content.picture is Picture.OSMU:
        logo = _osmu()
        image.paste(logo, ((width - logo.width) // 2, (height - logo.height) // 2))
    for number, line in enumerate(content.lines):
        row = _line(line, room, now - content.at_s)
        image.paste(row, (left, top + number * line_height))
    return image


def _line(text: str, room: int, seconds: float) -> Image.Image:
    """A line; one that is too long runs round and round."""
    image = _text(text)
    if image.width - 1 <= room:
        return image
    endless = _text(text + SCROLL_GAP)
    shift = round(seconds * SCROLL_DOTS_S) % endless.width
    window = Image.new("1", (room, CELL_HEIGHT))
    window.paste(endless, (-shift, 0))
    window.paste(endless, (endless.width - shift, 0))
    return window


def _text(text: str) -> Image.Image:
    columns = columns_of(text)
    image = Image.new("1", (max(1, len(columns)), CELL_HEIGHT))
    dots = image.load()
    assert dots is not None
    for x, column in enumerate(columns):
        for y in range(HEIGHT):
            if column >> y & 1:
                dots[x, y] = LIT_DOT
    return image


@cache
def _qr(text: str) -> Image.Image:
    matrix = segno.make(text, error="l", micro=False).matrix
    size = len(matrix)
    image = Image.new("1", (QR_DOTS, QR_DOTS), 1)
    margin = (QR_DOTS - size) // 2
    for y, row in enumerate(matrix):
        for x, is_dark in enumerate(row):
            if is_dark:
                image.putpixel((margin + x, margin + y), 0)
    return image


@cache
def _hi() -> Image.Image:
    image = Image.new("1", HI_DOTS)
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, HI_DOTS[0] - 1, 23), 5, outline=1)
    pen.polygon(((10, 23), (18, 23), (8, 29)), fill=1)
    word = _text("Hi!").resize((3 * CELL_WIDTH * 2, CELL_HEIGHT * 2))
    image.paste(word, (6, 5))
    return image


@cache
def _bitaxe() -> Image.Image:
    """A pick-axe and the name."""
    image = Image.new("1", (77, 30))
    pen = ImageDraw.Draw(image)
    pen.line((6, 28, 22, 8), fill=1, width=3)
    pen.arc((2, 2, 34, 30), 215, 325, fill=1, width=3)
    word = _text("bitaxe").resize((6 * CELL_WIDTH, CELL_HEIGHT))
    image.paste(word, (37, 11))
    pen.line((37, 21, 71, 21), fill=1)
    return image


@cache
def _osmu() -> Image.Image:
    """Four letters, twice as large, between two chips."""
    image = Image.new("1", (125, 27))
    pen = ImageDraw.Draw(image)
    for left in (2, 104):
        pen.rectangle((left + 3, 7, left + 15, 19), outline=1)
        pen.rectangle((left + 7, 11, left + 11, 15), fill=1)
        for leg in (9, 13, 17):
            pen.line((left, leg, left + 2, leg), fill=1)
            pen.line((left + 16, leg, left + 18, leg), fill=1)
    word = _text("OSMU").resize((4 * CELL_WIDTH * 3, CELL_HEIGHT * 3))
    image.paste(word, (28, 3))
    return image
