"""Application images as an OTA brings them."""

import runpy
from pathlib import Path

from softaxe.errors import ImageError
from softaxe.flash.image import AppImage, AppImageReader

BUILDERS = Path(__file__).parents[1] / "flash" / "builders.py"
app_image = runpy.run_path(str(BUILDERS))["app_image"]
CORPUS = [
    app_image(segments=(300, 32)),
    app_image(segments=(288,), has_digest=False),
    app_image(segments=(260, 0, 5), version="v" * 32, chip_id=0),
]
RUNS = 500


def one_input(data: bytes) -> None:
    whole = _read(data, len(data))
    # How an image is cut makes no difference.
    assert _read(data, 100) == whole


def _read(data: bytes, step: int) -> AppImage | str:
    reader = AppImageReader()
    try:
        for at in range(0, len(data), step or 1):
            reader.feed(data[at : at + step])
        return reader.finish()
    except ImageError as error:
        return str(error)
