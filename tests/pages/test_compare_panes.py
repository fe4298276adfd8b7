"""What the controls of a pane do on the compare page: its model, its place, its copies."""

import pytest

from tests.pages.screen import opened, ran


@pytest.fixture
def board(services, ada):
    """The first comparison: `panes()` tells the temperatures from left to right, `app()` opens it."""
    return Board(services, ada)


class Board:
    def __init__(self, services, person):
        self._service = services.compare
        self.who = {"user_id": person.id, "comparison_id": services.compare.new(**_me(person)).comparison.id}

    def view(self):
        return self._service.get(**self.who)

    def panes(self):
        return [pane.params.temperature for pane in self.view().panes]

    def app(self):
        return opened("compare", comparison=self.who["comparison_id"])


def _me(person):
    return {"user_id": person.id, "role": person.role}


def choose(app, place, action):
    """From the menu of a pane."""
    menus = [one for one in app.get("menu_button") if one.label == "Pane actions"]
    menus[place].click(action)
    return ran(app)


def test_panes_are_swapped_copied_and_removed_by_their_menus(board):
    app = board.app()
    assert board.panes() == [0.2, 1.0]
    app = choose(app, 0, "right")
    assert board.panes() == [1.0, 0.2]
    app = choose(app, 0, "duplicate")
    assert board.panes() == [1.0, 1.0, 0.2]
    app = choose(app, 2, "left")
    assert board.panes() == [1.0, 0.2, 1.0]
    app = choose(app, 0, "remove")
    assert board.panes() == [0.2, 1.0]
    shown = [one.value for one in app.caption if "Temperature" in one.value]
    assert ["Temperature 0\\.2" in shown[0], "Temperature 1" in shown[1]] == [True, True]


def test_ends_of_the_row_offer_no_way_beyond_them(board):
    menus = [one.options for one in board.app().get("menu_button") if one.label == "Pane actions"]
    assert menus == [["Move right", "Duplicate"], ["Move left", "Duplicate"]]


def test_each_pane_may_ask_a_model_of_its_own(board):
    app = board.app()
    app.selectbox[1].select("demo-large · demo")
    app = ran(app)
    assert [pane.model_name for pane in board.view().panes] == ["demo-small", "demo-large"]
    assert [one.value for one in app.selectbox] == ["demo-small · demo", "demo-large · demo"]
