"""What administrators do to accounts and everybody to their own; who gains or loses rights is signed out at once."""

from __future__ import annotations

import secrets
from zoneinfo import available_timezones

from chatplay.auth.attempts import Attempts
from chatplay.auth.passwords import Passwords
from chatplay.auth.person import ROLES, Person, Preferences, person_of
from chatplay.auth.rules import check_display_name, check_new_password, check_username
from chatplay.auth.setup import DEFAULT_ORGANISATION
from chatplay.auth.tokens import token_hash
from chatplay.errors import BadInput, Conflict, NotAllowed, NotFound
from chatplay.store import Store
from db import access, accounts, sign_ins, trial_claims

_UNAMBIGUOUS = "abcdefghjkmnpqrstuvwxyz23456789"


class AccountService:
    """`actor` is the signed-in person who asks; passwords come back only where they are to be shown once."""

    def __init__(self, *, store: Store, passwords: Passwords, attempts: Attempts) -> None:
        self._store = store
        self._passwords = passwords
        self._attempts = attempts

    # ---- administrators ----

    def list_people(self, *, actor: Person) -> list[Person]:
        """Everybody, the active first, then by name. Raises NotAllowed."""
        _require_administrator(actor)
        with self._store.reading() as conn:
            _still_administrator(accounts.find_user(conn, user_id=actor.id))
            return [person_of(record) for record in accounts.list_users(conn)]

    def list_organisations(self, *, actor: Person) -> list[str]:
        _require_administrator(actor)
        with self._store.reading() as conn:
            _still_administrator(accounts.find_user(conn, user_id=actor.id))
            return accounts.list_organisations(conn)

    def add_person(self, *, actor: Person, username: str, display_name: str, role: str, organisation: str = "") -> str:
        """The temporary password, to be changed at the first sign-in. Raises BadInput, Conflict (name taken)."""
        _require_administrator(actor)
        username = check_username(username)
        display_name = check_display_name(display_name or username)
        organisation = _check_organisation(organisation)
        password = temporary_password()
        password_hash = self._passwords.hash(password)
        with self._store.transaction() as conn:
            _still_administrator(accounts.find_user(conn, user_id=actor.id))
            added = accounts.add_user(
                conn,
                organisation_id=accounts.get_or_add_organisation(conn, name=organisation),
                username=username,
                display_name=display_name,
                password_hash=password_hash,
                role=_check_role(role),
                must_change_password=True,
            )
            if added is None:
                raise Conflict(f"Somebody already has the username {username}.", cure="Choose another one.")
        return password

    def reset_password(self, *, actor: Person, user_id: int) -> str:
        """A temporary password in place of the forgotten one; the sign-ins and waits of that person end."""
        _require_administrator(actor)
        if user_id == actor.id:
            raise BadInput(
                "This is your own account.", param="user_id", cure="Change your password on the Account page."
            )
        password = temporary_password()
        password_hash = self._passwords.hash(password)
        with self._store.transaction() as conn:
            _still_administrator(accounts.find_user(conn, user_id=actor.id))
            person = _person(accounts.find_user(conn, user_id=user_id))
            accounts.set_password(conn, user_id=user_id, password_hash=password_hash, must_change_password=True)
            sign_ins.end_sign_ins(conn, user_id=user_id)
        self._attempts.let_in(username=person.username)
        return password

    def rescue(self, *, username: str) -> str:
        """For whoever sits at the machine, where nobody is left to help: a temporary password, every sign-in ended,
        every lock lifted. Raises NotFound naming the administrators, Conflict for a deactivated account.
        """
        password = temporary_password()
        password_hash = self._passwords.hash(password)
        with self._store.transaction() as conn:
            found = accounts.find_credentials(conn, username=username.strip())
            if found is None:
                raise _nobody_called(username, accounts.list_users(conn))
            if not found.is_active:
                raise Conflict(
                    f"The account {username} is deactivated.", cure="An administrator activates it on the Users page."
                )
            accounts.set_password(conn, user_id=found.user_id, password_hash=password_hash, must_change_password=True)
            sign_ins.end_sign_ins(conn, user_id=found.user_id)
        self._attempts.let_in(username=username.strip())
        return password

    def change_role(self, *, actor: Person, user_id: int, role: str) -> None:
        """Raises Conflict for the last active administrator."""
        _require_administrator(actor)
        with self._store.transaction() as conn:
            administrators = accounts.lock_active_administrators(conn)
            _still_administrator(accounts.find_user(conn, user_id=actor.id))
            _keep_an_administrator(administrators, user_id, stays=role == "administrator")
            person = _person(accounts.find_user(conn, user_id=user_id))
            if person.role != _check_role(role):
                accounts.set_role(conn, user_id=user_id, role=role)
                sign_ins.end_sign_ins(conn, user_id=user_id)
                access.end_tokens(conn, user_id=user_id)

    def set_active(self, *, actor: Person, user_id: int, is_active: bool) -> None:
        """Let a person in again, or keep them out: their chats stay. Raises Conflict for the last administrator."""
        _require_administrator(actor)
        with self._store.transaction() as conn:
            administrators = accounts.lock_active_administrators(conn)
            _still_administrator(accounts.find_user(conn, user_id=actor.id))
            _keep_an_administrator(administrators, user_id, stays=is_active)
            _person(accounts.find_user(conn, user_id=user_id))
            accounts.set_active(conn, user_id=user_id, is_active=is_active)
            if not is_active:
                trial_claims.pause_all_of(conn, user_id=user_id, because="Its owner's account was deactivated.")
            sign_ins.end_sign_ins(conn, user_id=user_id)
            access.end_tokens(conn, user_id=user_id)

    # ---- everybody ----

    def change_password(
        self, *, actor: Person, current: str, password: str, repeated: str, keep_token: str | None, address: str | None
    ) -> None:
        """Ends every sign-in but the one with `keep_token`. Raises BadInput naming the field, SignInRefused."""
        new = check_new_password(password, repeated, username=actor.username)
        self._attempts.begin(username=actor.username, address=address)
        with self._store.reading() as conn:
            stored = accounts.find_password_hash(conn, user_id=actor.id)
        if not self._passwords.check(current, stored):
            raise BadInput("The current password is not right.", param="current", cure="Type it again.")
        self._attempts.succeeded(username=actor.username, address=address)
        if self._passwords.check(new, stored):
            raise BadInput("This is the password you have.", param="password", cure="Choose a new one.")
        password_hash = self._passwords.hash(new)
        with self._store.transaction() as conn:
            kept = token_hash(keep_token) if keep_token is not None else None
            accounts.set_password(conn, user_id=actor.id, password_hash=password_hash, must_change_password=False)
            sign_ins.end_sign_ins(conn, user_id=actor.id, except_token_hash=kept)

    def set_display_name(self, *, actor: Person, display_name: str) -> None:
        with self._store.transaction() as conn:
            accounts.set_display_name(conn, user_id=actor.id, display_name=check_display_name(display_name))

    def set_preferences(self, *, actor: Person, preferences: Preferences) -> None:
        """Raises BadInput for a time zone that does not exist."""
        if preferences.time_zone is not None and preferences.time_zone not in available_timezones():
            raise BadInput("There is no such time zone.", param="time_zone", cure="Choose one from the list.")
        with self._store.transaction() as conn:
            stored = _record(accounts.find_user(conn, user_id=actor.id)).preferences
            merged = {**stored, **preferences.to_json()}  # keys of other parts stay
            accounts.set_preferences(conn, user_id=actor.id, preferences=merged)


def temporary_password() -> str:
    """Four groups of four letters and digits that cannot be mistaken for one another; 79 bits."""
    return "-".join("".join(secrets.choice(_UNAMBIGUOUS) for _ in range(4)) for _ in range(4))


def _nobody_called(username: str, people: list[accounts.UserRecord]) -> NotFound:
    administrators = [one.username for one in people if one.role == "administrator" and one.is_active]
    if not administrators:
        cure = "Nobody exists yet: `make setup-link` prints the link that creates the first administrator."
    else:
        cure = f"The administrators are {', '.join(administrators)}."
    return NotFound(f"Nobody has the username {ascii(username)[1:-1]}.", cure=cure)


def _require_administrator(actor: Person) -> None:
    if not actor.is_administrator:
        raise _not_allowed()


def _still_administrator(found: accounts.UserRecord | None) -> None:
    """A page or dialog may have been open since before the role was taken away."""
    if found is None or not found.is_active or found.role != "administrator":
        raise _not_allowed()


def _not_allowed() -> NotAllowed:
    return NotAllowed("Only administrators can do this.", cure="Ask one of them.")


def _keep_an_administrator(active: list[int], user_id: int, *, stays: bool) -> None:
    if not stays and active == [user_id]:
        raise Conflict(
            "This is the last active administrator.", cure="Make somebody else an administrator first, then try again."
        )


def _record(found: accounts.UserRecord | None) -> accounts.UserRecord:
    if found is None:
        raise NotFound("This person does not exist.", cure="Reload the page to see who does.")
    return found


def _person(found: accounts.UserRecord | None) -> Person:
    return person_of(_record(found))


def _check_role(role: str) -> str:
    if role not in ROLES:
        raise BadInput(f"There is no role {role!r}.", param="role", cure=f"Choose {' or '.join(ROLES)}.")
    return role


def _check_organisation(name: str) -> str:
    if not name.strip():
        return DEFAULT_ORGANISATION
    try:
        return check_display_name(name)
    except BadInput as error:
        raise BadInput("This organisation's name cannot be shown.", param="organisation", cure=error.cure) from None
