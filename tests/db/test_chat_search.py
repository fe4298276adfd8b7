"""The search of the history: words of messages, also half typed and with punctuation in them."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from chatplay.chats.log import ChatLog
from db.chats import search_sql
from tests.db.chat_rig import add_person

_MESSAGE = """In src/main.py:12 of v1.2.3 self.user_id is a List<String>, not 3.14 or -5. 使用：東京。
See https://example.com/docs?page=2, 10.0.0.1:8080 or ada@mail.example.org: “it doesn’t→e-mail”, 3,000 × C:\\temp."""
_PASSAGES = [
    *("main.py", "src/main.py", "main.py:12", "v1.2.3", "self.user_id", "user_id", "List<String>", "string", "3.14"),
    *("-5", "https://example.com/docs?page=2", "example.com/docs", "example.com", "example.org", "10.0.0.1:8080"),
    *("ada@mail.example.org", "it", "doesn't", "e-mail", "mail", "3,000", "C:\\temp", "MAIN.PY", "(main.py)", "東京"),
]
_HOSTILE = [
    *("'", "\\", "''", "\\'", "a\\", "'a", "a'b", ":*", "a:*", "!a", "a & | b", "(a", "a <-> b", "<2>", "%", "_"),
    *("[a-", "a.*+?", "a{9}", "$1", "%s", "%(a)s", ":words", "-- ;", "é.東京", "1e5.0x1F.12abc", " \t\n"),
    *("\0", "a\0b", "a.\x01.b", "a\ud800", "\udfff.b", "x" * 5000, "😀" * 900, "a." * 5000),
]


def _answered(house, prompt):
    """A chat with the prompt in a message, and not in its title."""
    chat_id = house.ask("one").user_message.session_id
    house.ask(prompt, chat_id=chat_id)
    return chat_id


def _found(house, search):
    return [chat.id for chat in house.chats.list_chats(user_id=house.user_id, search=search)]


def test_words_with_punctuation_are_found_from_their_first_character_on(house):
    chat_id = _answered(house, _MESSAGE)
    typed = [passage[:length] for passage in _PASSAGES for length in range(1, len(passage) + 1)]
    missed = [search for search in typed if search.strip("-(") and _found(house, search) != [chat_id]]
    assert missed == []


def test_what_punctuation_joins_has_to_stand_together(house):
    chat_id = _answered(house, "3 apples in main, 14 in domain.py, 23.145 in v1.3 of 2")
    assert [search for search in ("main.py", "3.14", "v1.2", "5.3") if _found(house, search)] == []
    assert _found(house, "main 14 domain.py") == [chat_id]


def test_words_that_stand_often_in_a_long_message_are_found_joined_at_its_end(house):
    chat_id = _answered(house, "a " * 300 + "a.b")
    assert _found(house, "a.b") == [chat_id]


def test_few_letters_find_the_beginnings_of_words_and_all_of_them_are_needed(house):
    chat_id = _answered(house, "Über a.b, 東京 x_yz and -7")
    found = ("ü", "A", "b", "東", "yz", "-7", "x_y", "a b", "a.b", "京 a", "( a", "z")
    assert [search for search in found if _found(house, search) == [chat_id]] == [*found[:9], "( a"]


def test_any_text_may_be_searched_for(house):
    chat_id = _answered(house, "two")
    log = ChatLog(store=house.store, max_prompt_chars=1000)
    for search in _HOSTILE:
        assert [line.id for line in log.list_chats(user_id=house.user_id, search=search)] == _found(house, search)
    assert _found(house, "tw\0o") == _found(house, "o\ud800ne") == [chat_id]


_MANY = """
WITH chats AS (
    INSERT INTO chat_sessions (id, user_id, model_name, upstream, locked_at)
    SELECT gen_random_uuid(), :user_id, 'one', 'lab', now() FROM generate_series(1, 100) RETURNING id
)
INSERT INTO chat_messages (session_id, role, content)
SELECT id, 'user', 'number ' || n FROM chats, generate_series(1, 10) n
"""


_MANY_CALLS = """
INSERT INTO generations (id, user_id, status, owner, message_id)
SELECT gen_random_uuid(), :user_id, CASE WHEN n % 4000 = 0 THEN 'streaming' ELSE 'complete' END, gen_random_uuid(), m.id
FROM generate_series(1, 20) n, (SELECT id FROM chat_messages) m
"""


def test_answers_that_are_coming_are_looked_for_once_and_among_those_alone(house):
    query, values = search_sql(user_id=house.user_id, search="", limit=20, before=None)
    with house.store.transaction() as conn:
        conn.execute(text(_MANY), {"user_id": house.user_id})
        conn.execute(text(_MANY_CALLS), {"user_id": house.user_id})
        conn.execute(text("ANALYZE chat_messages, chat_sessions, generations"))
        plan = "\n".join(conn.execute(text(f"EXPLAIN VERBOSE {query}"), values).scalars())
    assert "ix_generations_streaming" in plan, plan
    assert "hashed SubPlan" in plan, plan


@pytest.mark.parametrize(
    ("search", "index"),
    [
        ("see main.p", "ix_chat_messages_search"),
        ("n", "ix_chat_messages_session_id"),  # one's own: everybody has messages with such words
        ("in a.b", "ix_chat_messages_session_id"),
    ],
)
def test_messages_are_searched_by_an_index(house, search, index):
    query, values = search_sql(user_id=house.user_id, search=search, limit=10, before=None)
    others = add_person(house.store, "others")
    with house.store.transaction() as conn:
        for owner in (house.user_id, *[others] * 9):  # one's own are few: of all, reading the table would be as quick
            conn.execute(text(_MANY), {"user_id": owner})
        conn.execute(text("ANALYZE chat_messages, chat_sessions"))
        plan = "\n".join(conn.execute(text(f"EXPLAIN {query}"), values).scalars())
    assert index in plan, plan
