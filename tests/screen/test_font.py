from softaxe.screen.font import HEIGHT, LETTERS, columns_of


def test_every_letter_is_different_and_fits_its_cell() -> None:
    assert len(set(LETTERS.values())) == len(LETTERS)
    assert all(len(columns) == 5 for columns in LETTERS.values())
    assert all(column < 1 << HEIGHT for each in LETTERS.values() for column in each)
    assert {chr(code) for code in range(32, 127)} <= set(LETTERS)


def test_what_has_no_letter_is_a_question_mark() -> None:
    assert columns_of("€") == columns_of("?")


def test_letters_stand_side_by_side_with_a_gap() -> None:
    assert columns_of("!°") == [0, 0, 0x5F, 0, 0, 0, 0, 6, 9, 9, 6, 0]
