"""Images of the www partition, in a small geometry."""

import runpy
from pathlib import Path

from softaxe.errors import ImageError
from softaxe.flash.spiffs import Geometry, read_spiffs

BUILDERS = Path(__file__).parents[1] / "flash" / "builders.py"
spiffs_image = runpy.run_path(str(BUILDERS))["spiffs_image"]
SMALL = Geometry(image_bytes=0x4000)
CORPUS = [
    spiffs_image({"/index.html.gz": b"<p>", "/a.js": bytes(600)}, size=0x4000),
    spiffs_image({"/big": bytes(range(256)) * 30}, size=0x4000),
]


def one_input(data: bytes) -> None:
    image = data[: SMALL.image_bytes].ljust(SMALL.image_bytes, b"\xff")
    try:
        files = read_spiffs(image, SMALL)
    except ImageError:
        return
    assert sum(map(len, files.values())) <= SMALL.image_bytes * len(files)
