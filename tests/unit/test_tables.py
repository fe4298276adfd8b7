"""How tall tables stand."""

from chatplay.ui.tables import table_height


def test_table_stands_whole_until_a_row_is_cut_in_half():
    assert table_height(10, most=10) == table_height(0) == "content"
    assert (table_height(11, most=10) - 38) % 35 == 17
    assert table_height(17) == table_height(100_000)
