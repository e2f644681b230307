import asyncio
import json
import weakref

import pytest
from tests.each import each

from softaxe.catalog.firmware import firmware
from softaxe.serve import journal as module
from softaxe.serve.answers import Answer
from softaxe.serve.journal import (
    Entry,
    Journal,
    JournaledApp,
    query_without_secrets,
    without_secrets,
)
from softaxe.serve.request import Body, Reply, Request, read_body, reply_of


@each(
    "body",
    [
        b'{"wifiPass": "secret1", "x": 1}',
        b'{"WIFIPASS":"secret1"}',
        b'{"wifi\\u0050ass":"secret1"}',
        b'{"stratumPassword":"secret1","fallbackStratumPassword":"secret1"}',
        b'{"wifiPass": "secret1", "wifiPass": "secret1"}',
        b'{"wifiPass": "", "a": "wifiPass=secret1"}',
        b'{"a": {"wifiPass": "secret1"}, "a": "***"}',
        b'[{"wifiPass": "secret1"}]',
        b'{"a": {"b": [{"wifiPass": {"c": "secret1"}}]}}',
        '{"wifiPass": "secret1"}'.encode("utf-16"),
        b'{"password": "secret1"}',
        b'{"poolPasswd": "secret1", "x": 1}',
        rb'{"stratumCert": "-----BEGIN PRIVATE KEY-----\nsecret1"}',
    ],
)
def test_secrets_are_taken_out(body: bytes) -> None:
    assert b"secret1" not in without_secrets(body)
    assert b"***" in without_secrets(body)


@each(
    "body",
    [
        b'{"wifiPass": "secret1", broken',
        b'{"wifiPass": "secret1',
        b'{"wifiPass":secret1',
        b'{"wifiPass": "a\\"secret1", broken',
        b"{'wifiPass':'secret1'}",
        b"wifiPass=secret1",
        b"a=1&wifi%50ass=secret1",
        b'{wifiPass: "secret1"}',
        b'{"wifi\\u0050ass":"secret1"',
        b'"wifiPass=secret1"',
        b'["{\\"wifiPass\\":\\"secret1\\"}"]',
        b"[" * 5000 + b'{"wifiPass":"secret1"}',
    ],
)
def test_of_what_may_hold_a_secret_only_the_length_is_kept(body: bytes) -> None:
    told = f"({len(body)} bytes or more, with a secret)"
    assert without_secrets(body).decode() == told


@each(
    ("query", "kept"),
    [
        ("wifiPass=S", "wifiPass=***"),
        ("a=1&WIFI%50ass=S&b=2", "a=1&WIFI%50ass=***&b=2"),
        ('q={"wifiPass":"S"}', "q=***"),
        ("columns=power,temp&x", "columns=power,temp&x"),
        ("", ""),
    ],
)
def test_queries_keep_no_secrets(query: str, kept: str) -> None:
    assert query_without_secrets(query) == kept


@each("body", [b"", b'{"frequency": 525}', b"[1]", b"not json", b'"x"', b"[" * 5000])
def test_the_rest_stays_as_it_came(body: bytes) -> None:
    assert without_secrets(body) == body


def test_what_is_no_text_is_only_counted() -> None:
    assert without_secrets(b"\xe9\0\x01" * 100) == b"(300 bytes or more, no text)"


def entry(seq: int, *, body: bytes = b"") -> Entry:
    return Entry(
        seq=seq,
        time_s=0,
        now=0,
        device="601-1",
        client="127.0.0.1",
        method="GET",
        path="/",
        query="",
        body=body,
        status=200,
        size=0,
        answer=b"",
        took_ms=1,
        is_unmatched=False,
        fault=None,
    )


def test_it_is_bounded_in_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ENTRIES", 5)
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    journal = Journal()
    for seq in range(1, 9):
        journal.add(entry(seq), 512)
    assert [e.seq for e in journal] == [4, 5, 6, 7, 8]

    journal.add(entry(9, body=b"x" * 9000), 512 + 9000)

    assert [e.seq for e in journal] == [9]
    assert (journal.last, journal.dropped) == (9, 8)


def test_readers_follow_by_number() -> None:
    journal = Journal()
    for seq in range(1, 9):
        journal.add(entry(seq), 512)

    found = journal.after(3, lambda e: e.seq % 2 == 0, 2)

    assert [e.seq for e in found] == [6, 8]
    journal.clear()
    assert (len(journal), journal.last) == (0, 8)


def test_an_app_is_served_and_watched() -> None:
    async def app(request: Request) -> Answer:
        await read_body(request.body, 1000)
        return Answer(b"a" * 3000, status=201)

    async def serve() -> Reply:
        body = Body()
        body.feed(b'{"wifiPass":"x"}')
        body.finish()
        headers = ((b"host", b"bitaxe"), (b"cookie", b"x"), (b"x-wifipass", b"x"))
        request = Request(
            "PATCH",
            "/api/system",
            "wifiPass=x",
            headers,
            client="127.0.0.9",
            body=body,
        )
        found = JournaledApp(app, journal, "601-1", lambda: 5.0, firmware)(request)
        return await reply_of(found)

    journal = Journal()
    answer = asyncio.run(serve())

    (noted,) = journal
    told = noted.to_json()
    assert answer == Answer(b"a" * 3000, status=201)
    assert (told["client"], told["now"], told["status"]) == ("127.0.0.9", 5.0, 201)
    assert (told["bytes"], len(told["answer"])) == (3000, 1024)
    assert told["query"] == "wifiPass=***"
    assert json.loads(told["body"]) == {"wifiPass": "***"}
    kept = [["host", "bitaxe"], ["cookie", "***"], ["x-wifipass", "***"]]
    assert told["headers"] == kept


def test_what_is_answered_at_once_is_noted_too() -> None:
    journal = Journal()
    answer = Answer(b"\xff\xfe" * 10, status=404, is_unmatched=True)

    JournaledApp(lambda _: answer, journal, "601-1", lambda: 5.0, firmware)(
        Request("GET", "/x", "a=1")
    )

    (noted,) = journal
    assert (noted.method, noted.path, noted.query) == ("GET", "/x", "a=1")
    assert (noted.status, noted.is_unmatched, noted.size) == (404, True, 20)
    assert noted.answer == b"", "what is no text is only counted"


def test_a_request_itself_is_not_kept() -> None:
    class Weighty(Request):
        """One that can be looked after."""

    journal = Journal()
    request = Weighty("GET", "/x")
    gone = weakref.ref(request)

    JournaledApp(lambda _: Answer(), journal, "601-1", lambda: 5.0, firmware)(request)
    del request

    assert len(journal) == 1
    assert gone() is None
