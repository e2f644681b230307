"""The screen's dots as a PNG."""

import io

from PIL import Image, ImageDraw

LIT, UNLIT = (207, 232, 255), (6, 9, 13)
MAX_SCALE = 8


def png(image: Image.Image, scale: int) -> bytes:
    """Encode a drawing, each dot `scale` pixels wide and a little apart."""
    large = image.resize((image.width * scale, image.height * scale))
    if scale > 2:
        pen = ImageDraw.Draw(large)
        for x in range(0, large.width, scale):
            pen.line((x, 0, x, large.height), fill=0)
        for y in range(0, large.height, scale):
            pen.line((0, y, large.width, y), fill=0)
    coloured = Image.new("P", large.size)
    coloured.putpalette([*UNLIT, *LIT])
    coloured.paste(1, None, large)
    buffer = io.BytesIO()
    coloured.save(buffer, "PNG", bits=1)
    return buffer.getvalue()
