import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softaxe.api import cjson


@pytest.mark.parametrize(
    ("printer", "value", "text"),
    [
        (cjson.float7, 11.67, "11.6700001"),
        (cjson.float7, 52.6, "52.5999985"),
        (cjson.float7, 1043.2, "1043.1999512"),
        (cjson.float7, 441.2579, "441.2579041"),
        (cjson.float7, 0.2, "0.2"),
        (cjson.float7, 5208.75, "5208.75"),
        (cjson.float7, -1.0, "-1"),
        (cjson.float7, 60.0, "60"),
        (cjson.float7, -0.0, "0"),
        (cjson.float_raw, 485.3, "485.29998779296875"),
        (cjson.float_raw, 485.5, "485.5"),
        (cjson.float_raw, 11.67, "11.670000076293945"),
        (cjson.number, 12.345, "12.345"),
        (cjson.number, 238214491, "238214491"),
        (cjson.number, 2147483648, "2147483648"),
        (cjson.number, 155970000000000, "155970000000000"),
        (cjson.number, 1000000000000000, "1e+15"),
        (cjson.number, 1234500000000000, "1.2345e+15"),
        (cjson.number, 1234567890123456, "1234567890123456"),
        (cjson.number, math.nan, "null"),
        (cjson.number, -math.inf, "null"),
        (cjson.boolean01, True, "1"),
        (cjson.string, 'a"b\\c\n\x01/é', '"a\\"b\\\\c\\n\\u0001/é"'),
    ],
)
def test_values_are_printed_as_cjson_prints_them(
    printer: cjson.Printer, value: float, text: str
) -> None:
    assert printer(value) == text


def test_the_404_of_the_reference_to_the_byte() -> None:
    body = cjson.members((("error", cjson.string("unknown route")),)).encode()

    expected = (
        "7B 0A 09 22 65 72 72 6F 72 22 3A 09 22 75 6E 6B 6E 6F 77 6E 20 72 6F 75 74 65 "
        "22 0A 7D"
    )
    assert body == bytes.fromhex(expected)


def test_objects_in_arrays_stand_two_levels_deeper() -> None:
    text = cjson.document({"a": [{"b": 1}, {}], "c": []})

    assert text == '{\n\t"a":\t[{\n\t\t\t"b":\t1\n\t\t}, {\n\t\t}],\n\t"c":\t[]\n}'


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e300, 1e300)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text('ab\n"é', max_size=3), inner)
    ),
    max_leaves=12,
)


@given(json_values)
def test_what_is_printed_reads_back_as_the_same(value: object) -> None:
    again = json.loads(cjson.document(value))

    assert json.loads(cjson.document(again)) == again
    if not isinstance(value, float | int):
        assert type(again) is type(value)


@given(st.floats(-1e300, 1e300))
def test_doubles_keep_their_value(value: float) -> None:
    assert float(cjson.number(value)) == pytest.approx(value, rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b"{}", []),
        (b"[1,2]", []),
        (b"5", []),
        (b"null", []),
        (b'\xef\xbb\xbf {"a":1}', [("a", 1)]),
        (b'{"a":1} junk', [("a", 1)]),
        (b'{"a":1}\0{', [("a", 1)]),
        (b'{"b":1,"a":2,"b":3}', [("b", 1), ("a", 2), ("b", 3)]),
        (b'{"a":{"x":1,"x":2}}', [("a", {"x": 2})]),
        (b'{"a":"x\\u0000y"}', [("a", "x")]),
        ('{"a":"é"}'.encode(), [("a", "é")]),
    ],
)
def test_requests_are_read_as_tolerantly_as_cjson(
    body: bytes, members: list[tuple[str, object]]
) -> None:
    assert cjson.parse(body) == members


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        cjson.parse(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        cjson.parse(body)
    except ValueError:
        return
