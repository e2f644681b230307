"""What is private is taken out of recordings and of the journal."""

import json

from softaxe.recordings.record import Entry, Standins, cleaned
from softaxe.serve.journal import query_without_secrets, without_secrets

CORPUS = [
    b'{"ssid":"My \\"Home\\"","macAddr":"10:F5:12:33:BB:F0","ipv4":"192.168.1.77",'
    b'"ipv6":"FE80::12F5:12FF:FE33:BBF0","stratumUser":'
    b'"bc1qnp980s5fpp8l94p5cvttmtdqy8rvrq74qly2yrfmzkdsntqzlc5qkc4rkq.w",'
    b'"wifiPass":"secret"}\nBitaxe_12AB|1976a914' + b"ab" * 20,
    b'I (12) stratum_api: tx: {"id": 3, "method": "mining.authorize", "params": '
    b'["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.w", "x"]}\x1b[0m',
    b"ssid=Home&wifiPass=secret&%77ifiPass=x",
    b'{"bssid":"A"}\n\x1b[0;32mI (1) a: A is 0014' + b"aB" * 9,
]
RUNS = 100


def one_input(data: bytes) -> None:
    standins = Standins()
    for text in data.decode("latin-1").split("\n"):
        body = cleaned(Entry(0, "/api/system/info", body=text), standins).body
        if _is_json(text):
            assert _is_json(body), body
        cleaned(Entry(0, "", body=text), standins)
    without_secrets(data)
    query_without_secrets(data.decode("latin-1"))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
