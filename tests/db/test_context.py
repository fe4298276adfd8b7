"""The context window on a real database: what is held back, what is left out, and what answers teach."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from chatplay.errors import ContextFull
from chatplay.params import Params
from chatplay.providers.base import Chunk, End, Message, Usage
from chatplay.tokens.calibrations import Calibrations, Sample
from db.calibration import forget_calibrations
from tests.db.chat_rig import rig

LONG = "many words about a river " * 30  # about 190 tokens; the window has 1,000 and 512 are kept for the answer


@pytest.fixture
def house(database_url):
    with rig(database_url, max_prompt_chars=10_000) as house:
        yield house


def answer(prompt_tokens, completion_tokens=10):
    return ["An answer.", Chunk(end=End(finish_reason="stop", usage=Usage(prompt_tokens, completion_tokens)))]


def fill(house):
    """A chat of three turns that take 780 tokens."""
    turn = None
    for asked in ("first " + LONG, "second " + LONG, "third"):
        house.provider.script = answer(190 if turn is None else 380)
        turn = house.ask(asked, chat_id=turn and turn.user_message.session_id, params=Params(max_tokens=256))
    return turn.user_message.session_id


def use(house, chat_id, draft="", params=None):
    view = house.view(chat_id)
    return house.chats.context_use(view, draft=draft, params=params or Params(), role="analyst")


def answers_known_elsewhere(house):
    """How many answers a process that learned none itself knows of."""
    other = Calibrations(house.store)
    other.refresh("scripted", "tiny")
    return other.get("scripted", "tiny").calibration.answers


def test_use_of_a_new_chat_is_system_prompt_draft_and_reserve(house):
    chat_id = house.new_chat()
    empty = use(house, chat_id)
    assert (empty.used_tokens, empty.reserved_tokens, empty.window_tokens, empty.estimated) == (0, 512, 1000, False)
    filled = use(house, chat_id, draft=LONG, params=Params(system_prompt="Be brief."))
    assert filled.used_tokens > 150
    assert 0 < filled.system_tokens < 12


def test_use_after_an_answer_is_what_the_server_reported(house):
    house.provider.script = answer(40, 7)
    found = use(house, house.ask("Hi").user_message.session_id)
    assert (found.used_tokens, found.method, found.estimated) == (47, "reported", False)


def test_message_that_does_not_fit_is_held_back_before_the_model_is_asked(house):
    chat_id = house.new_chat()
    with pytest.raises(ContextFull, match="Nothing was sent") as caught:
        house.send(LONG * 3, chat_id=chat_id)
    assert caught.value.code == "context_full"
    assert not house.provider.requests
    assert not house.view(chat_id).messages


def test_message_that_fits_with_a_shorter_answer_is_sent_then(house):
    chat_id = house.new_chat()
    with pytest.raises(ContextFull):
        house.send(LONG * 2 + LONG, chat_id=chat_id)
    house.ask(LONG * 2 + LONG, chat_id=chat_id, params=Params(max_tokens=256))
    assert len(house.provider.requests) == 1


def test_dropping_oldest_turns_leaves_out_as_few_as_needed_and_says_so(house):
    chat_id = fill(house)
    house.chats.set_overflow(user_id=house.user_id, chat_id=chat_id, policy="drop_oldest")
    turn = house.ask("fourth " + LONG, chat_id=chat_id)
    sent = [message.content for message in house.provider.requests[-1].messages if message.role == "user"]
    assert [words.split()[0] for words in sent] == ["second", "third", "fourth"]
    stored = next(one for one in house.view(chat_id).messages if one.id == turn.assistant_message.id)
    assert stored.metrics.omitted_messages == 2
    assert 100 < stored.metrics.omitted_tokens < 300


def test_what_was_left_out_counts_again_when_the_chat_holds_back(house):
    chat_id = fill(house)
    house.chats.set_overflow(user_id=house.user_id, chat_id=chat_id, policy="drop_oldest")
    house.provider.script = answer(450)
    house.ask("fourth " + LONG, chat_id=chat_id)
    dropping = use(house, chat_id).used_tokens
    house.chats.set_overflow(user_id=house.user_id, chat_id=chat_id, policy="hold_back")
    assert dropping == 460
    assert use(house, chat_id).used_tokens > dropping + 100


def test_prompt_too_long_by_itself_is_held_back_although_turns_may_be_dropped(house):
    chat_id = fill(house)
    house.chats.set_overflow(user_id=house.user_id, chat_id=chat_id, policy="drop_oldest")
    with pytest.raises(ContextFull):
        house.send(LONG * 4, chat_id=chat_id)


def test_overflow_policy_is_the_chat_own(house):
    chat_id = fill(house)
    house.chats.set_overflow(user_id=house.user_id, chat_id=chat_id, policy="drop_oldest")
    assert house.view(chat_id).chat.overflow_policy == "drop_oldest"
    assert house.view(house.new_chat()).chat.overflow_policy == "hold_back"


def test_usage_beyond_the_window_is_not_believed_and_the_chat_goes_on(house):
    house.provider.script = answer(90_000, 7)
    chat_id = house.ask("Hi").user_message.session_id
    found = use(house, chat_id)
    assert (found.used_tokens < 20, found.estimated) == (True, True)
    house.provider.script = answer(12, 3)
    house.ask("And now?", chat_id=chat_id)
    assert use(house, chat_id).used_tokens == 15


def test_answers_teach_the_estimate_and_its_error_is_told(house):
    chat_id = house.new_chat()
    before = use(house, chat_id, draft=LONG)
    for asked in range(6):
        house.provider.script = answer(60, 1)
        house.ask(f"{asked} short words about a small river and its banks, told once more for the record")
    after = use(house, house.new_chat(), draft=LONG)
    assert before.error_share is None
    assert (after.error_answers, after.error_share is not None) == (6, True)
    assert after.used_tokens > before.used_tokens * 1.2


def test_answers_ending_at_once_in_many_places_are_all_learned(house):
    sample = Sample("scripted", "tiny", (Message("user", "some words about nothing in particular"),), 14)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Calibrations(house.store).learn(sample), range(24)))
    assert answers_known_elsewhere(house) == 24


def test_calibration_written_by_another_version_is_begun_anew(house):
    sample = Sample("scripted", "tiny", (Message("user", "some words"),), 9)
    Calibrations(house.store).learn(sample)
    with house.store.transaction() as conn:
        conn.execute(text("UPDATE token_calibrations SET gram = '{1,2}'"))
    Calibrations(house.store).learn(sample)
    assert answers_known_elsewhere(house) == 1


def test_estimates_go_on_while_the_database_is_away(house):
    known = Calibrations(house.store)
    house.store.engine.dispose()
    with house.store.transaction() as conn:
        conn.execute(text("ALTER TABLE token_calibrations RENAME TO away"))
    known.refresh("scripted", "tiny")
    assert known.get("scripted", "tiny").calibration.answers == 0
    known.learn(Sample("scripted", "tiny", (Message("user", "hi"),), 9))


def test_new_chat_begins_with_the_defaults_of_its_model(database_url):
    with rig(database_url, request_defaults={"temperature": 0.2, "max_tokens": 256}) as house:
        house.ask(params=Params(temperature=0.9, top_p=0.5))
        params = house.view(house.new_chat()).chat.params
        assert (params.temperature, params.max_tokens, params.top_p) == (0.2, 256, 0.5)


def test_model_that_takes_no_system_prompt_is_sent_none(database_url):
    with rig(database_url, supports_system_prompt=False) as house:
        turn = house.ask("Hi", params=Params(system_prompt="Be brief."))
        assert [message.role for message in house.provider.requests[-1].messages] == ["user"]
        code = house.chats.get_code(
            user_id=house.user_id,
            role="analyst",
            app_url="https://chat.example",
            chat_id=turn.user_message.session_id,
            message_id=turn.assistant_message.id,
            language="python",
        )
        assert "'Hi'" in code
        assert "Be brief." not in code


def test_another_address_behind_a_name_forgets_what_was_learned(house):
    Calibrations(house.store).learn(Sample("scripted", "tiny", (Message("user", "some words"),), 9))
    with house.store.transaction() as conn:
        forget_calibrations(conn, upstream="scripted")
    assert answers_known_elsewhere(house) == 0
