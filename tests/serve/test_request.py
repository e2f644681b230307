import asyncio

import pytest

from softaxe.serve.request import Body, BodyCutOff, Request, chunks, read_piece


def test_the_target_is_taken_as_sent() -> None:
    assert Request("GET", "/a%20b", "c=%2F").target == "/a%20b?c=%2F"
    assert Request("GET", "/a%20b").target == "/a%20b"


@pytest.mark.parametrize(
    ("pause_s", "stall_s", "most_s", "complaint"),
    [
        (0.01, 10.0, 0.2, "not complete after 0.2 s"),
        (10.0, 0.05, 10.0, "nothing received for 0.05 s"),
    ],
)
def test_a_body_may_neither_pause_nor_drip_for_ever(
    pause_s: float, stall_s: float, most_s: float, complaint: str
) -> None:
    body = Body()

    async def drip() -> None:
        while True:
            await asyncio.sleep(pause_s)
            body.feed(b"x")

    async def read() -> None:
        dripping = asyncio.ensure_future(drip())
        try:
            async for _ in chunks(body, stall_s=stall_s, most_s=most_s):
                pass
        finally:
            dripping.cancel()

    with pytest.raises(BodyCutOff, match=complaint):
        asyncio.run(read())


def test_a_body_tells_when_it_wants_more_and_when_it_was_cut() -> None:
    asked = 0

    def want() -> None:
        nonlocal asked
        asked += 1
        body.feed(b"more") if asked == 1 else body.cut()

    body = Body(want)

    async def read() -> bytes:
        found = await body.read()
        with pytest.raises(BodyCutOff):
            await body.read()
        return found

    assert asyncio.run(read()) == b"more"
    assert bytes(body.heard) == b"more"


def test_of_a_body_in_pieces_the_first_may_be_all_that_is_read() -> None:
    body = Body()
    body.feed(b'{"stratum')
    body.feed(b'URL":"a"}')

    assert asyncio.run(read_piece(body)) == b'{"stratum'
