"""Pages: the files of the www image by the firmware's rules, or our own page.

Source of the rules: ESP-Miner http_server.c.
"""

from collections.abc import Mapping
from importlib.resources import files

from softaxe.device.device import Device
from softaxe.serve.answers import Answer, Headers

MAX_NAME_BYTES = 142
"""The firmware cuts longer names."""
CACHE = (b"Cache-Control", b"max-age=2592000")
GZIP = (b"Content-Encoding", b"gzip")
CONTENT_TYPES = {
    ".html": b"text/html",
    ".js": b"application/javascript",
    ".css": b"text/css",
    ".png": b"image/png",
    ".ico": b"image/x-icon",
    ".pdf": b"application/pdf",
    ".woff2": b"font/woff2",
}

_STATIC = files("softaxe.serve") / "static"
_BUILT = _STATIC / "page"
NOT_BUILT = (
    b"<!DOCTYPE html><title>AxeOS on softaxe</title>"
    b"<p>The device runs, but its page was not built. "
    b"<code>make</code> in the source folder builds it."
)
OUR_PAGE: Mapping[str, bytes] = (
    {f"/{file.name}": file.read_bytes() for file in _BUILT.iterdir()}
    if _BUILT.is_dir()
    else {"/index.html": NOT_BUILT}
)
"""Files of our own page, made from `ui/`."""
RECOVERY_PAGE = Answer((_STATIC / "recovery.html").read_bytes(), is_chunked=True)
RECOVERY_PAGE_BESIDE_OWN = Answer(
    RECOVERY_PAGE.body.replace(b'id="own" hidden', b'id="own"'), is_chunked=True
)
"""Of firmware with a page inside: it offers to go back to that."""


def files_of(device: Device) -> Mapping[str, bytes]:
    """Return the device's pages by name: those in its flash, or ours."""
    if device.shows_own_page:
        return OUR_PAGE
    if device.www is not None and device.faults.www_version is None:
        return device.www
    pages = OUR_PAGE if device.www is None else device.www
    return {**pages, "/version.txt": device.www_version or b""}


def page_answer(device: Device, target: str) -> Answer:
    """Answer a GET for a page of a device.

    Our own page is served whatever a version takes of a flashed one.

    Args:
        device: Whose.
        target: The request's target as sent, query included.
    """
    rows, pages = device.firmware.rows, files_of(device)
    return file_answer(
        pages,
        target,
        takes_plain=rows.serves_plain_files or device.www is None,
        svg_type=rows.svg_type.encode(),
        is_inside=device.shows_own_page,
    )


def file_answer(
    pages: Mapping[str, bytes],
    target: str,
    *,
    takes_plain: bool = True,
    svg_type: bytes = b"image/svg+xml",
    is_inside: bool = False,
) -> Answer:
    """Answer a GET for a page.

    Args:
        pages: Contents by name; a name starts with a slash.
        target: The request's target as sent, query included.
        takes_plain: Files that are not compressed are found, too.
        svg_type: Content type of a picture in SVG.
        is_inside: They are a part of the firmware, no files.
    """
    longest = None if is_inside else MAX_NAME_BYTES
    name = "/index.html" if target.endswith("/") else target[:longest]
    headers: Headers = () if target.endswith("/") else (CACHE,)
    content = pages.get(f"{name}.gz")
    if content is not None:
        headers += (GZIP,)
    elif takes_plain:
        content = pages.get(name)
    if content is None:
        return Answer(
            b"Redirect to the captive portal",
            status=302,
            content_type=_content_type(name, svg_type),
            headers=((b"Location", b"/"),),
            is_unmatched=True,
        )
    return Answer(
        content,
        content_type=_content_type(name, svg_type),
        headers=headers,
        is_chunked=not is_inside,
    )


def _content_type(name: str, svg_type: bytes) -> bytes:
    lowered = name.lower()
    if lowered.endswith(".svg"):
        return svg_type
    for extension, content_type in CONTENT_TYPES.items():
        if lowered.endswith(extension):
            return content_type
    return b"text/plain"
