"""Pages go before answers: for as long as one is being drawn, where there is not room for both."""

import asyncio

import pytest

from chatplay.generation.precedence import GivingWay, Precedence


class House:
    def __init__(self, *, busy=True):
        self.now_sec, self.pauses = 100.0, []
        self.precedence = Precedence(lambda: busy, clock=lambda: self.now_sec, sleep=self.pauses.append)

    def gives_way(self):
        self.pauses.clear()
        self.precedence.give_way()
        return bool(self.pauses)


def test_answers_wait_while_a_page_is_being_drawn_and_no_longer():
    house = House()
    assert not house.gives_way()
    with house.precedence.take():
        assert house.gives_way()
        with house.precedence.take():
            assert house.gives_way()
        assert house.gives_way()
    assert not house.gives_way()


def test_answers_do_not_wait_where_there_is_room_for_both():
    house = House(busy=False)
    with house.precedence.take():
        assert not house.gives_way()


def test_page_that_takes_long_has_no_precedence_any_more_but_another_has():
    house = House()
    with house.precedence.take():
        house.now_sec += 10
        assert not house.gives_way()
        with house.precedence.take():
            assert house.gives_way()
        assert not house.gives_way()


def test_page_that_fails_has_no_precedence_any_more():
    house = House()
    with pytest.raises(ZeroDivisionError), house.precedence.take():
        1 / 0  # noqa: B018
    assert not house.gives_way()


def test_loop_that_gives_way_goes_on():
    house = House()
    loop = asyncio.SelectorEventLoop(GivingWay(house.precedence))
    with house.precedence.take():
        assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
    loop.close()
    assert house.pauses
