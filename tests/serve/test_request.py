from softaxe.serve.request import Request


def test_the_target_is_taken_as_sent() -> None:
    assert Request("GET", "/a%20b", "c=%2F").target == "/a%20b?c=%2F"
    assert Request("GET", "/a%20b").target == "/a%20b"
