"""A comparison for tests of the compare page."""

import threading
from uuid import uuid4


class Desk:
    """The first comparison of a person, with short answers: `get()` reads it, `who` says which."""

    def __init__(self, services, user_id):
        self.service = services.compare
        self.role = {"role": "administrator"}
        view = self.service.new(user_id=user_id, **self.role)
        self.who = {"user_id": user_id, "comparison_id": view.comparison.id}
        for pane in view.panes:
            self.service.set_param(**self.who, pane_id=pane.id, name="max_tokens", value=256)

    def get(self):
        return self.service.get(**self.who)

    def set(self, place, **params):
        for name, value in params.items():
            self.service.set_param(**self.who, pane_id=self.get().panes[place].id, name=name, value=value)

    def run(self, **more):
        self.service.run(**self.who, **self.role, request_key=uuid4(), **more)
        return self.settled()

    def vote(self, choice, pane=None):
        pane_id = pane.id if pane else None
        self.service.vote(user_id=self.who["user_id"], view=self.get(), choice=choice, pane_id=pane_id)

    def settled(self):
        for _ in range(4000):
            view = self.get()
            if not view.is_running:
                return view
            threading.Event().wait(0.005)
        raise AssertionError("the answers never reached the database")
