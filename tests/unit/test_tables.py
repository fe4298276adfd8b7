"""How tall tables stand."""

from chatplay.ui.tables import table_height, text_column


def test_table_stands_whole_until_a_row_is_cut_in_half():
    assert table_height(10, most=10) == table_height(0) == "content"
    assert (table_height(11, most=10) - 38) % 35 == 17
    assert table_height(17) == table_height(100_000)


def test_text_column_is_as_wide_as_its_longest_text_within_bounds():
    short, long = (
        text_column(["Ana", "Quentin (demo)"])["width"],
        text_column(["Ana", "Quentin (demonstration)"])["width"],
    )
    assert 14 * 7 < short < long < text_column(["x" * 1000])["width"] == 280
    assert text_column([])["width"] == 80
