"""What names, passwords and addresses to return to may be."""

import base64
import hashlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatplay.auth.attempts import account_policy, address_policy, too_many
from chatplay.auth.client import came_by_tls, client_address
from chatplay.auth.handover import GO_SCRIPT, GO_SCRIPT_HASH, go_html
from chatplay.auth.passwords import Passwords
from chatplay.auth.return_to import safe_return_to
from chatplay.auth.rules import check_display_name, check_new_password, check_username
from chatplay.errors import BadInput
from chatplay.settings import Settings
from chatplay.waits import wait_text
from tests.sign_in_rig import CountingHasher

# ---- names and passwords ----


@pytest.mark.parametrize("name", ["ada", "Ada.Lovelace", "a1", "ada@example.org", "x" * 64, " ada "])
def test_ordinary_username_is_taken(name):
    assert check_username(name) == name.strip()


@pytest.mark.parametrize("name", ["", "a", "x" * 65, "a b", ".ada", "ädä", "a\x00b", "\ud800a", "a\nb", "a/b", "<b>"])
def test_other_username_is_refused_with_the_rule(name):
    with pytest.raises(BadInput, match="2 to 64") as refused:
        check_username(name)
    assert refused.value.param == "username"


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\x00b", "\ud800", "a\u202eb"])
def test_display_name_that_cannot_be_shown_is_refused(name):
    with pytest.raises(BadInput):
        check_display_name(name)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "too short"),
        ("nine char", "too short"),
        (" " * 20, "too short"),
        ("x" * 1_001, "too long"),
        ("Administrator7", "is the username"),
        ("7rotartsinimda", "is the username"),
        ("Password1234", "first ones"),
        ("aaaaaaaaaaaa", "first ones"),
        ("ten chars\x00 and more", "cannot be typed"),
        ("ten chars \ud800 and more", "cannot be typed"),
    ],
)
def test_weak_or_untypable_password_is_refused_with_the_reason(password, problem):
    with pytest.raises(BadInput, match=problem):
        check_new_password(password, password, username="administrator7")


@pytest.mark.parametrize("password", ["four unrelated words", "密码密碼口令通行證密钥", "x1y2" * 250])
def test_long_and_foreign_passwords_are_taken(password):
    assert check_new_password(password, password, username="ada") == password


def test_bcrypt_tells_passwords_apart_beyond_its_72_bytes():
    passwords = Passwords()
    stored = passwords.hash("x" * 80 + "one")
    assert stored.startswith("$2b$12$")
    assert passwords.check("x" * 80 + "one", stored)
    assert not passwords.check("x" * 80 + "two", stored)


def test_missing_hash_costs_a_real_check_and_never_matches():
    hasher = CountingHasher()
    assert not Passwords(hasher).check("anything", None)
    assert hasher.checks == 1


def test_hash_of_nobody_costs_as_much_as_a_real_one():
    from chatplay.auth import passwords

    assert passwords._NOBODYS_HASH[:7] == Passwords().hash("four unrelated words")[:7]
    assert not Passwords().check("", None)


def test_password_typed_with_other_code_points_is_the_same():
    passwords = Passwords(CountingHasher())
    assert passwords.check("Zürich hat viele Brücken ", passwords.hash("Zu\u0308rich hat viele Bru\u0308cken"))


# ---- where to return to ----


@pytest.mark.parametrize("target", ["/", "/chat", "/chat?chat=1&provider=echo", "/users?x=a+b%2F", "/a?to=https://x/"])
def test_path_of_this_app_is_kept(target):
    assert safe_return_to(target) == target


@pytest.mark.parametrize(
    "target",
    [
        None, "", "chat", "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil",
        "/\t/evil.example", "/\n/evil", " //evil", "javascript:alert(1)", "/%0d\r\nSet-Cookie: a=b", "/é", "/x\x00",
        "/auth/sign-out", "/" + "x" * 3_000, "//[evil",
    ],
)  # fmt: skip
def test_anything_else_leads_to_the_first_page(target):
    assert safe_return_to(target) == "/"


@given(st.text(max_size=60))
def test_no_text_leads_to_another_site(text):
    target = safe_return_to("/" + text)
    assert target.startswith("/")
    assert target[1:2] not in ("/", "\\")
    assert target.isprintable()


# ---- where a request comes from ----

PROXIES = (ipaddress.ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),  # not a proxy of ours: its word counts for nothing
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.9, 10.0.0.2", "198.51.100.9"),  # the left end is what the client made up
        ("10.0.0.1", "", "10.0.0.1"),
        (None, "198.51.100.9", None),
    ],
)
def test_address_is_the_nearest_that_no_proxy_of_ours_made(peer, forwarded, address):
    assert client_address(peer, forwarded, PROXIES) == address


def test_forwarded_https_counts_only_from_a_trusted_proxy():
    assert came_by_tls("http", "https", "10.0.0.1", PROXIES)
    assert not came_by_tls("http", "https", "192.0.2.1", PROXIES)
    assert came_by_tls("https", None, "192.0.2.1", ())


# ---- waits ----


def test_account_waits_grow_and_end_in_doubling_locks():
    assert account_policy(Settings()).waits_sec == (0, 1, 2, 4, 900, 1800, 3600, 7200, 14400)


def test_one_allowed_failure_locks_at_once():
    assert account_policy(Settings(sign_in_max_failures=1)).waits_sec[0] == 900


def test_address_waits_begin_after_four_times_as_many():
    waits = address_policy(Settings()).waits_sec
    assert (set(waits[:19]), waits[19]) == ({0.0}, 900)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (2, "2 seconds"), (61, "2 minutes"), (900, "15 minutes"), (3601, "2 hours")],
)
def test_wait_is_said_in_round_numbers_never_shorter(seconds, text):
    assert wait_text(seconds) == text


def test_wait_already_over_is_said_as_a_second():
    assert too_many(-5).retry_after_sec == 1


# ---- the script of the hand-over ----


def test_script_in_the_page_is_the_one_the_policy_allows():
    page = go_html("/auth/accept?ticket=x")
    script = page.split("<script>")[1].removesuffix("</script>")
    assert "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == GO_SCRIPT_HASH
    assert script == GO_SCRIPT


def test_address_cannot_break_out_of_the_page():
    assert '"><script>alert' not in go_html('/x"><script>alert(1)</script>')
