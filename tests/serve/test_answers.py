import pytest
from tests.each import each

from softaxe.serve.answers import (
    CHUNK_BYTES,
    CONNECTION_CLOSE,
    FULL_CORS,
    Answer,
    chunk,
    framed,
    head,
    reason,
)


def test_a_head_is_spelt_as_given_and_in_its_order() -> None:
    answer = Answer(b"{}", content_type=b"a/b", headers=((b"X-a", b"1"),))

    assert head(answer, ((b"x-B", b"2"),)) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n"
        b"X-a: 1\r\nx-B: 2\r\n\r\n"
    )


@each(
    ("status", "line"),
    [
        (401, b"HTTP/1.1 401 Unauthorized"),
        (418, b"HTTP/1.1 418 I'm a Teapot"),
        (599, b"HTTP/1.1 599 "),
    ],
)
def test_a_status_has_the_phrase_that_there_is(status: int, line: bytes) -> None:
    assert head(Answer(status=status)).split(b"\r\n")[0] == line


@pytest.mark.parametrize(("has_chunks", "is_told"), [(True, True), (False, False)])
def test_who_knows_no_chunks_is_told_of_none(
    *, has_chunks: bool, is_told: bool
) -> None:
    told = head(Answer(b"a", is_chunked=True), has_chunks=has_chunks)

    assert (b"Transfer-Encoding: chunked" in told) is is_told
    assert b"Content-Length" not in told


def test_a_long_body_goes_in_pieces_and_a_last_one() -> None:
    body = bytes(CHUNK_BYTES) + b"rest"

    sent = list(framed(Answer(body, is_chunked=True)))

    assert sent == [chunk(bytes(CHUNK_BYTES)), b"4\r\nrest\r\n", b"0\r\n\r\n"]
    assert list(framed(Answer(b"", is_chunked=True))) == [b"0\r\n\r\n"]
    assert list(framed(Answer(body))) == [body]


def test_what_goes_out_again_and_again_is_made_once() -> None:
    answer = Answer(b"{}")

    whole, is_last = answer.made
    assert whole == head(answer) + b"{}"
    assert not is_last
    assert answer.made[0] is whole


def test_a_copy_with_more_headers_is_made_anew() -> None:
    answer = Answer(b"{}", headers=((b"X-a", b"1"),))
    whole, _ = answer.made

    last = answer.with_headers((*FULL_CORS, CONNECTION_CLOSE))

    assert [name for name, _ in last.headers][::4] == [b"X-a", b"Connection"]
    assert last.made == (head(last) + b"{}", True)
    assert answer.made == (whole, False)
    assert answer.with_headers(()) is answer


def test_a_refusal_is_plain_text_whatever_it_quotes() -> None:
    refused = reason("frequency: 'ü<b>' is no number")

    assert refused.status == 400
    assert refused.content_type == b"text/plain; charset=utf-8"
    assert refused.body == "frequency: 'ü<b>' is no number".encode()
