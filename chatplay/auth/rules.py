"""What a username, a display name and a password may be; each refusal says how to do better."""

from __future__ import annotations

import re
import unicodedata

from chatplay.errors import BadInput

USERNAME_RULE = "Use 2 to 64 letters a-z, digits and . _ - + @, beginning with a letter or digit."
MIN_PASSWORD_CHARS = 10
MAX_PASSWORD_CHARS = 1_000
MAX_NAME_CHARS = 80
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}", re.IGNORECASE | re.ASCII)
_COMMON = frozenset(
    """
    1234567890 0123456789 12345678910 123456789a 1234567891 0987654321 9876543210 1111111111 0000000000 1q2w3e4r5t
    1q2w3e4r5t6y qwertyuiop qwerty1234 qwerty12345 qwerty123456 qwertz1234 asdfghjkl1 asdfghjkl; zxcvbnm123
    abcdefghij abcdefghijk abcd123456 abc1234567 a123456789 password12 password123 password1234 password12345
    password!1 passw0rd123 p@ssw0rd123 p@ssword123 passwordpassword letmein123 letmein1234 welcome123 welcome1234
    welcome2024 welcome2025 welcome2026 iloveyou12 iloveyou123 administrator admin12345 admin123456 administrator1
    changeme123 changeme1234 changemenow sunshine123 football123 baseball123 princess123 superman123 dragon1234
    monkey1234 michael123 trustno1trustno1 correcthorsebatterystaple chatplayground playground1 playground123
    """.split()  # noqa: SIM905 (a list of 64 strings reads worse)
)


def check_username(username: str) -> str:
    """`username` without the spaces around it. Raises BadInput(param="username")."""
    username = username.strip()
    if not _USERNAME.fullmatch(username):
        raise BadInput(
            "This username cannot be used.",
            param="username",
            cure=USERNAME_RULE,
        )
    return username


def is_username(text: str) -> bool:
    """True when somebody could have this username."""
    return _USERNAME.fullmatch(text) is not None


def check_display_name(name: str) -> str:
    """`name` with single spaces. Raises BadInput(param="display_name")."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME_CHARS or any(unicodedata.category(char)[0] == "C" for char in name):
        raise BadInput(
            "This name cannot be shown.",
            param="display_name",
            cure=f"Write 1 to {MAX_NAME_CHARS} ordinary characters.",
        )
    return name


def normal_password(password: str) -> str:
    """The form every password is hashed and checked in: one spelling of each character, no spaces around it."""
    return unicodedata.normalize("NFKC", password).strip()


def check_new_password(password: str, repeated: str, *, username: str) -> str:
    """`password` in normal form, once it may be somebody's. Raises BadInput(param="password" or "repeated")."""
    password, repeated = normal_password(password), normal_password(repeated)
    if (problem := _problem(password, username)) is not None:
        raise BadInput(problem, param="password", cure="A few unrelated words make a good one.")
    if password != repeated:
        raise BadInput("The two passwords differ.", param="repeated", cure="Type the same one twice.")
    return password


def _problem(password: str, username: str) -> str | None:
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in password):
        return "The password holds a character that cannot be typed again."
    if len(password) < MIN_PASSWORD_CHARS:
        return f"The password is too short: at least {MIN_PASSWORD_CHARS} characters are needed."
    if len(password) > MAX_PASSWORD_CHARS:
        return f"The password is too long: at most {MAX_PASSWORD_CHARS:,} characters are possible."
    if password.lower() in (username.lower(), username.lower()[::-1]):
        return "The password is the username."
    if password.lower() in _COMMON or len(set(password)) < 4:
        return "The password is among the first ones somebody would guess."
    return None
