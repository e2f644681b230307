import contextlib
import json
import math
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.each import each

from softaxe import cjson


@each(
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
        (cjson.float7, 0.0, "0"),
        (cjson.float7, 1 / 256, "0.0039063"),
        (cjson.float7, -1 / 256, "-0.0039063"),
        (cjson.float7, 1e-7, "1e-07"),
        (cjson.float7, 4e-8, "0"),
        (cjson.float7, 123456792.0, "123456792"),
        (cjson.float7, 1e12, "999999995904"),
        (cjson.float7, 1e300, "null"),
        (cjson.float7, math.inf, "null"),
        (cjson.float7, math.nan, "null"),
        (cjson.float_raw, 1e300, "null"),
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
        (cjson.number, -2147483648, "-2147483648"),
        (cjson.number, 999999999999999, "999999999999999"),
        (cjson.number, 188.482, "188.482"),
        (cjson.number, 0.1 + 0.2, "0.3"),
        (cjson.number, 1 / 3, "0.33333333333333331"),
        (cjson.number, 0.1, "0.1"),
        (cjson.number, 10**400, "null"),
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


def test_values_nested_deeper_than_the_stack_are_printed() -> None:
    text = cjson.document(nested(5000))

    assert text == "[" * 5000 + "]" * 5000


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_single_precision_numbers_are_rounded_half_away_from_zero(value: float) -> None:
    product = Decimal(value * 1e7)  # in double precision, as the firmware multiplies

    rounded = product.to_integral_value(ROUND_HALF_UP)

    assert cjson.float7(value) == cjson.number(float(rounded) / 1e7)


@given(st.floats(-1e300, 1e300))
def test_doubles_keep_their_value(value: float) -> None:
    assert float(cjson.number(value)) == pytest.approx(value, rel=1e-15, abs=0)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@each(
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
        (b'{"a":{"x":1,"x":2}}', [("a", {"x": 1})]),
        (b'{"a":[{"x":[1]}]}', [("a", [{"x": [1]}])]),
        (b'{"a":"x\\u0000y"}', [("a", "x")]),
        (b'{"a":["x\\u0000y"]}', [("a", ["x"])]),
        (b'{"a":"\\ud83d\\ude00\\\\ud800"}', [("a", "\U0001f600\\ud800")]),
        (b'{"a":"tab\tand\nline"}', [("a", "tab\tand\nline")]),
        (b'{"a":01, "b":-007.50}', [("a", 1), ("b", -7.5)]),
        (b'{"a":1., "b":1.e2, "c":-.5}', [("a", 1), ("b", 100.0), ("c", -0.5)]),
        (b'{"a":"01."}', [("a", "01.")]),
        (b'{"a":1e999}', [("a", math.inf)]),
        (b'{"a":9007199254740993}', [("a", 9007199254740992.0)]),
        (b'{"a":1' + b"0" * 5000 + b"}", [("a", math.inf)]),
        (b'\x0b{\x01"a"\x0c:\x1f1}', [("a", 1)]),
        (b'{"a":1}\xff\xfe', [("a", 1)]),
        (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", [("a", nested(500))]),
        ('{"a":"é"}'.encode(), [("a", "é")]),
    ],
)
def test_requests_are_read_as_tolerantly_as_cjson(
    body: bytes, members: list[tuple[str, object]]
) -> None:
    assert cjson.parse(body) == members


@each(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b'{"a":.5}',
        b'{"a":+1}',
        b'{"a":-}',
        b'{"a":1 -e}',
        b'{"a":1.5.2}',
        b'{"a":1e}',
        b'{"a":0x10}',
        b'{"a":-Infinity}',
        b'{"a":1,}',
        b'{"a":tru}',
        b'{"a":"\\x"}',
        b'{"a":["\\ud800"]}',
        b'{"\\udc00":1}',
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


@given(json_values)
def test_what_is_standard_json_is_read_as_such(value: object) -> None:
    (member,) = cjson.parse(json.dumps({"a": value}).encode())

    assert member == ("a", cut_at_nul(value))


def cut_at_nul(value: object) -> object:
    if isinstance(value, str):
        return value.partition("\0")[0]
    if isinstance(value, list):
        return [cut_at_nul(entry) for entry in value]
    if isinstance(value, dict):
        return {name: cut_at_nul(entry) for name, entry in value.items()}
    return value


@given(st.text('{}[]":,\\0123456789.eE+-tru \x01u', max_size=60))
def test_what_python_reads_is_read(text: str) -> None:
    try:
        json.loads(text, strict=False)
    except ValueError:
        return
    cjson.parse(text.encode())


@each("text", ['"', '\\"', "[", '{"a":', "-", "0", '"\\u'])
def test_no_body_takes_long(text: str) -> None:
    body = (text * 10240)[:10240].encode()

    with contextlib.suppress(ValueError):
        cjson.parse(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        cjson.parse(body)
    except ValueError:
        return


@each(
    ("body", "members"),
    [
        (b'{"a":1}"\xe9\\u12', [("a", 1)]),
        (b'{"a":1} "\\ud800"', [("a", 1)]),
        (b'{"a":"b\\u12xyc"}', [("a", "b")]),
        (b'{"a":1.}', [("a", 1)]),
    ],
)
def test_what_is_behind_the_first_value_and_odd_codes_are_read_as_cjson_does(
    body: bytes, members: list[tuple[str, object]]
) -> None:
    assert cjson.parse(body) == members


@each(
    "body",
    [b'{"a":1..5}', b'{"a":"\\u12"}', b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":"b'],
)
def test_what_is_no_number_and_no_text_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"Unicode|delimiter|Unterminated"):
        cjson.parse(body)
