from softaxe.fleet.load_report import load_to_json, report
from softaxe.fleet.parts import merge
from softaxe.serve.share_load import ShareLoad


def table(load: ShareLoad, **more: object) -> dict[str, object]:
    return {
        "submitted": load.submitted,
        "accepted": load.accepted,
        "rejected": dict(load.rejected),
        "waiting": 1,
        "connections": 3,
        "reconnects": 1,
        "connected_s": 60.0,
        "sum_s": load.sum_s,
        "longest_s": load.longest_s,
        "bins": load.bins,
        "rate": {
            "devices": 0,
            "wished": 0,
            "possible": 0,
            "short": 0,
            "short_wished": 0,
            "short_possible": 0,
            "difficulty": 0.0,
            "needed_hs": 0,
            "most_hs": 0,
        },
        **more,
    }


def test_parts_add_up_and_what_has_no_answer_is_told() -> None:
    load = ShareLoad()
    load.submitted = 7
    for took_s, reason in ((0.001, None), (0.004, None), (0.2, "Duplicate share")):
        load.answered(took_s, reason)

    told = load_to_json(merge.load([table(load), table(load, longest_s=0.3)]))

    assert told["submitted"] == 14
    assert told["accepted"] == 4
    assert told["rejected"] == {"Duplicate share": 2}
    assert (told["waiting"], told["unanswered"]) == (2, 6)
    assert (told["connections"], told["reconnects"]) == (6, 2)
    assert told["sharesPerMinute"] == 7.0
    assert 3.5 < told["replyMs"]["p50"] < 4.5
    assert told["replyMs"]["longest"] == 300
    lines = list(report(merge.load([table(load)])))
    assert "  submitted    7, 7 a minute of each device" in lines
    assert "             1 Duplicate share" in lines
    assert "  unanswered   4, 1 of them still under way" in lines


def test_before_the_first_share_there_is_nothing_to_divide() -> None:
    told = load_to_json(merge.load([table(ShareLoad(), connected_s=0.0, waiting=0)]))

    assert told["replyMs"] is told["sharesPerMinute"] is None
    assert told["unanswered"] == 0
