"""A web page to serve without flashing it: a www image, or a folder of built files."""

from pathlib import Path

from softaxe.errors import ImageError, SettingError
from softaxe.flash.partitions import WWW_BYTES
from softaxe.flash.spiffs import read_spiffs

MOST_FILES = 2000
INDEX = ("/index.html", "/index.html.gz")


def read_source(path: Path) -> dict[str, bytes]:
    """Read the files by name; each name starts with a slash.

    Raises:
        SettingError: There is nothing to serve at `path`; says why.
    """
    try:
        found = _read_folder(path) if path.is_dir() else _read_image(path)
    except (OSError, ImageError) as error:
        raise SettingError(f"{path}: {error}") from error
    if not any(name in found for name in INDEX):
        raise SettingError(f"{path}: there is no index.html in it")
    return found


def _read_image(path: Path) -> dict[str, bytes]:
    if path.stat().st_size != WWW_BYTES:
        raise ImageError(f"{path.stat().st_size} bytes; a www image has {WWW_BYTES}")
    return read_spiffs(path.read_bytes())


def _read_folder(folder: Path) -> dict[str, bytes]:
    """Read what a folder holds; links that lead out of it are left alone."""
    root = folder.resolve()
    found: dict[str, bytes] = {}
    size = 0
    for file in sorted(root.rglob("*")):
        if not file.is_file() or not file.resolve().is_relative_to(root):
            continue
        size += file.stat().st_size
        if size > WWW_BYTES:
            raise ImageError(f"over {WWW_BYTES} bytes, which its partition holds")
        if len(found) == MOST_FILES:
            raise ImageError(f"over {MOST_FILES} files")
        found[f"/{file.relative_to(root).as_posix()}"] = file.read_bytes()
    return found
