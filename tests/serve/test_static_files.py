import re

from tests.each import each

from softaxe.serve.answers import Answer
from softaxe.serve.static_files import (
    OUR_PAGE,
    RECOVERY_PAGE,
    RECOVERY_PAGE_BESIDE_OWN,
    file_answer,
)

PAGES = {
    "/index.html": b"<p>plain</p>",
    "/index.html.gz": b"zipped page",
    "/main.js.gz": b"zipped script",
    "/version.txt": b"v2.12.2",
    "/assets/icons.WOFF2": b"font",
    "/settings?oc": b"a file with a query in its name",
}


def headers_of(target: str) -> dict[str, str]:
    answer = file_answer(PAGES, target)
    return {name.decode(): value.decode() for name, value in answer.headers}


def test_old_versions_know_compressed_files_alone() -> None:
    pages = {**PAGES, "/logo.svg.gz": b"zipped picture"}

    def answer(target: str) -> Answer:
        return file_answer(pages, target, takes_plain=False, svg_type=b"text/xml")

    assert answer("/").body == b"zipped page"
    assert answer("/version.txt").status == 302
    assert answer("/logo.svg").content_type == b"text/xml"
    assert file_answer(pages, "/logo.svg").content_type == b"image/svg+xml"


def test_files_inside_the_firmware_have_a_length_and_whole_names() -> None:
    long = f"/{'x' * 150}"
    pages = {**PAGES, long: b"long", long[:142]: b"cut"}

    inside = file_answer(pages, long, is_inside=True)
    flashed = file_answer(pages, long)

    assert (inside.body, inside.is_chunked) == (b"long", False)
    assert (flashed.body, flashed.is_chunked) == (b"cut", True)


@each("target", ["/", "/foo/", "/foo/bar/", "/?q=/"])
def test_a_target_that_ends_in_a_slash_is_the_index(target: str) -> None:
    answer = file_answer(PAGES, target)

    assert answer.status == 200
    assert answer.body == b"zipped page"
    assert answer.content_type == b"text/html"
    assert headers_of(target) == {"Content-Encoding": "gzip"}


def test_a_named_file_may_be_cached() -> None:
    assert headers_of("/main.js") == {
        "Cache-Control": "max-age=2592000",
        "Content-Encoding": "gzip",
    }
    assert headers_of("/version.txt") == {"Cache-Control": "max-age=2592000"}


@each(
    ("target", "content_type"),
    [
        ("/index.html", b"text/html"),
        ("/main.js", b"application/javascript"),
        ("/version.txt", b"text/plain"),
        ("/assets/icons.WOFF2", b"font/woff2"),
        ("/settings?oc", b"text/plain"),
    ],
)
def test_the_name_tells_the_content_type(target: str, content_type: bytes) -> None:
    answer = file_answer(PAGES, target)

    assert (answer.status, answer.content_type) == (200, content_type)


@each(
    ("target", "content_type"),
    [
        ("/settings", b"text/plain"),
        ("/main.js?v=1", b"text/plain"),
        ("/missing.css", b"text/css"),
        ("/../index.html", b"text/html"),
        ("/%2e%2e/etc/passwd", b"text/plain"),
        ("//etc/passwd", b"text/plain"),
        ("/INDEX.HTML", b"text/html"),
    ],
)
def test_whatever_is_not_in_the_image_leads_to_the_index(
    target: str, content_type: bytes
) -> None:
    answer = file_answer(PAGES, target)

    assert answer.status == 302
    assert answer.content_type == content_type
    assert answer.body == b"Redirect to the captive portal"
    assert [value for name, value in answer.headers if name == b"Location"] == [b"/"]


def test_an_image_without_an_index_redirects_to_itself() -> None:
    answer = file_answer({}, "/")

    assert (answer.status, answer.content_type) == (302, b"text/html")


def test_long_names_are_cut() -> None:
    name = "/" + "a" * 141

    assert file_answer({name: b"found"}, name + "bcd").body == b"found"


def test_our_page_asks_nobody_else_and_is_light() -> None:
    index = OUR_PAGE["/index.html"].decode()

    assert "<title>AxeOS on softaxe</title>" in index
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", index)
    assert sum(map(len, OUR_PAGE.values())) < 150_000


def test_the_recovery_page_is_small_and_asks_nobody_else() -> None:
    text = RECOVERY_PAGE.body.decode()

    assert len(text) < 12 * 1024
    assert "<title>AxeOS Recovery</title>" in text
    assert not re.search(r"https?://|//[a-z]+\.|innerHTML|document\.write", text)


def test_only_firmware_with_a_page_inside_offers_to_go_back_to_it() -> None:
    hidden = b'<button type="button" id="own" hidden>'

    assert hidden in RECOVERY_PAGE.body
    assert hidden not in RECOVERY_PAGE_BESIDE_OWN.body
    assert b'<button type="button" id="own">' in RECOVERY_PAGE_BESIDE_OWN.body
