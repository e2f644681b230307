import asyncio
import time

from softaxe.fleet.turns import WORK_S, in_turns


def test_others_have_their_turns_while_many_are_worked_through() -> None:
    looks: list[float] = []

    async def look() -> None:
        while True:
            looks.append(time.monotonic())
            await asyncio.sleep(0)

    async def main() -> list[int]:
        others = asyncio.ensure_future(look())
        worked = []
        async for number in in_turns(range(20)):
            worked.append(number)
            time.sleep(WORK_S)  # noqa: ASYNC251 - work that takes so long
        others.cancel()
        return worked

    assert asyncio.run(main()) == list(range(20))
    assert len(looks) >= 10


def test_what_goes_meanwhile_is_no_error() -> None:
    there = {number: str(number) for number in range(3)}

    async def main() -> list[str]:
        found = []
        async for text in in_turns(there.values()):
            there.clear()
            found.append(text)
        return found

    assert asyncio.run(main()) == ["0", "1", "2"]
