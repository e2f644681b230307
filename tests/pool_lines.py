"""What a pool says to a miner: one job, and the extranonces to mine it with."""

NOTIFY = {
    "id": None,
    "method": "mining.notify",
    "params": [
        "1",
        "00" * 32,
        "01",
        "02",
        [],
        "20000000",
        "1705ae3a",
        "647025b5",
        True,
    ],
}
SUBSCRIBED = {"id": 2, "error": None, "result": [[], "e9695791", 4]}
