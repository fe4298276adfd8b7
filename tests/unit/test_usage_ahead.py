"""What is asked ahead is the same answer, the same error, and never asked twice."""

import threading

import pytest

from chatplay.errors import StoreUnavailable
from chatplay.usage.ahead import Ahead


class Clerk:
    """Answers questions, and remembers who asked which."""

    def __init__(self):
        self.asked = []
        self.free = threading.Event()
        self.begun = threading.Event()
        self.free.set()

    def double(self, number, *, plus=0):
        self.asked.append((number, threading.current_thread().name))
        self.begun.set()
        assert self.free.wait(10)
        return 2 * number + plus

    def fail(self):
        raise StoreUnavailable("The database cannot be reached right now.", cure="Try again.")


@pytest.fixture
def clerk():
    clerk = Clerk()
    yield clerk
    clerk.free.set()


def test_question_that_was_expected_is_asked_once_and_by_a_helper(clerk):
    with Ahead(1).view() as answers:
        answers.expect(clerk.double, 4, plus=1)
        answers.begin()
        assert clerk.begun.wait(10)
        assert answers.get(clerk.double, 4, plus=1) == 9
    assert clerk.asked == [(4, "usage-ahead")]


def test_question_that_nobody_expected_is_asked_on_the_spot(clerk):
    with Ahead(1).view() as answers:
        answers.expect(clerk.double, 4)
        assert answers.get(clerk.double, 5) == 10
    assert clerk.asked == [(5, threading.current_thread().name)]


def test_nobody_waits_for_a_helper_that_has_not_begun(clerk):
    clerk.free.clear()
    with Ahead(1).view() as answers:
        answers.expect(clerk.double, 1)
        answers.expect(clerk.double, 2)
        answers.begin()
        assert clerk.begun.wait(10)  # one place only, and it is taken
        threading.Timer(0.05, clerk.free.set).start()
        assert answers.get(clerk.double, 2) == 4
        assert answers.get(clerk.double, 1) == 2
    assert sorted(number for number, _ in clerk.asked) == [1, 2]


def test_error_of_a_helper_is_raised_where_the_answer_is_needed(clerk):
    with Ahead(1).view() as answers:
        answers.expect(clerk.fail)
        answers.begin()
        with pytest.raises(StoreUnavailable):
            answers.get(clerk.fail)


def test_without_places_everything_is_asked_on_the_spot(clerk):
    with Ahead(0).view() as answers:
        answers.expect(clerk.double, 3)
        answers.begin()
        assert answers.get(clerk.double, 3) == 6
    assert clerk.asked == [(3, threading.current_thread().name)]


def test_view_that_ends_early_leaves_the_rest_unasked_and_its_place_free(clerk):
    ahead = Ahead(1)
    clerk.free.clear()
    with ahead.view() as answers:
        for number in range(5):
            answers.expect(clerk.double, number)
        answers.begin()
        assert clerk.begun.wait(10)
    clerk.free.set()
    for thread in threading.enumerate():
        if thread.name == "usage-ahead":
            thread.join(10)
    assert [number for number, _ in clerk.asked] == [0]
    assert ahead._places.acquire(blocking=False)
