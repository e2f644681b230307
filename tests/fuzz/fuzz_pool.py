"""What a miner says to the built-in pool, in any dialect."""

import json

from softaxe.stratum.dialects import DIALECTS
from softaxe.stratum.pool import Pool

CORPUS = [
    b'{"id":1,"method":"mining.configure","params":[["version-rolling"],'
    b'{"version-rolling.mask":"ffffffff"}]}\n'
    b'{"id":2,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.12.2"]}\n'
    b'{"id":3,"method":"mining.authorize","params":["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa'
    b'.w","x"]}\n'
    b'{"id":5,"method":"mining.submit","params":["x","1","0000000000000001","695fdb00",'
    b'"00000001","00002000"]}\n',
    b'{"id":4,"method":"mining.suggest_difficulty","params":[0.001]}\n'
    b'{"id":"a","method":"mining.extranonce.subscribe","params":[]}\n'
    b'{"id":6,"method":"mining.ping"}\n{"id":7,"result":true}\n',
]
RUNS = 30


def one_input(data: bytes) -> None:
    dialects = tuple(DIALECTS.values())
    dialect = dialects[len(data) % len(dialects)]
    pool = Pool.for_scaled_work(seed=1, dialect=dialect)
    miner = pool.connect(0.0, "miner")
    miner.receive(CORPUS[0], 0.0)
    at = len(data) // 2
    miner.receive(data[:at], 1.0)
    miner.receive(data[at:] + b"\n", 2.0)
    miner.check_silence(60.0)
    pool.step(100.0)
    for line in miner.data_to_send().splitlines():
        json.loads(line)
    miner.closed(800.0)
    assert pool.connections == ()
