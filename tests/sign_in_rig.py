"""The sign-in services on a test's database, with a clock to turn and a hasher that counts instead of taking time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chatplay.auth.accounts import AccountService
from chatplay.auth.attempts import Attempts
from chatplay.auth.passwords import Passwords
from chatplay.auth.person import Person
from chatplay.auth.sessions import Sessions
from chatplay.auth.setup import SetUp
from chatplay.auth.sign_in import SignIn
from chatplay.auth.tickets import Tickets
from chatplay.settings import Settings
from chatplay.store import Store

PASSWORD = "four unrelated words"
ADDRESS = "192.0.2.7"


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)


class CountingHasher:
    def __init__(self) -> None:
        self.checks = 0

    def hash(self, password: str) -> str:
        return f"hash of {password}"

    def check_pw(self, password: str, hashed_password: str) -> bool:
        self.checks += 1
        return hashed_password == self.hash(password)


class Rig:
    """Everything `chatplay.auth` offers on one database; `again()` is a second process on the same one."""

    def __init__(self, engine, clock: Clock | None = None, **settings) -> None:
        self.engine = engine
        self.settings = Settings(**settings)
        self.clock = clock or Clock()
        self.hasher = CountingHasher()
        self.store = Store(engine)
        passwords = Passwords(self.hasher)
        attempts = Attempts(store=self.store, settings=self.settings, clock=self.clock)
        self.set_up = SetUp(store=self.store, passwords=passwords, clock=self.clock)
        self.accounts = AccountService(store=self.store, passwords=passwords, attempts=attempts)
        self.sessions = Sessions(store=self.store, settings=self.settings, clock=self.clock)
        self.sign_in = SignIn(store=self.store, passwords=passwords, attempts=attempts)
        self.tickets = Tickets(store=self.store, clock=self.clock)

    def again(self) -> Rig:
        return Rig(self.engine, self.clock)

    def administrator(self, username: str = "ada", display_name: str = "Ada Lovelace") -> Person:
        """The first person, created as the set-up page does it."""
        user_id = self.set_up.create_administrator(
            token=self.set_up.make_token(),
            username=username,
            display_name=display_name,
            password=PASSWORD,
            repeated=PASSWORD,
        )
        return self.person(user_id)

    def add(self, actor: Person, username: str, role: str = "analyst") -> Person:
        """One more person, who has chosen PASSWORD already."""
        temporary = self.accounts.add_person(actor=actor, username=username, display_name=username, role=role)
        added = next(one for one in self.accounts.list_people(actor=actor) if one.username == username)
        self.accounts.change_password(
            actor=added, current=temporary, password=PASSWORD, repeated=PASSWORD, keep_token=None, address=None
        )
        return self.person(added.id)

    def open(self, person: Person) -> str:
        """The token of a new sign-in."""
        return self.sessions.open(user_id=person.id, address=ADDRESS, user_agent="Mozilla/5.0 Firefox/140 Linux")

    def person(self, user_id: int) -> Person:
        token = self.sessions.open(user_id=user_id, address=None, user_agent=None)
        found = self.sessions.find_person(token)
        self.sessions.end(token)
        return found

    def try_password(self, username: str, password: str, address: str | None = ADDRESS) -> int:
        return self.sign_in.check(username=username, password=password, address=address)
