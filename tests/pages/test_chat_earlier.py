"""Earlier messages, and the versions and wordings of any: drawn on demand, none of them lost."""

from dataclasses import replace
from uuid import uuid4

from chatplay.chats.values import Coming
from chatplay.errors import GenerationRunning, NotFound
from chatplay.params import Params
from chatplay.ui.chat import turn_actions
from chatplay.ui.state import Notice
from db import chats
from db import messages as message_rows
from tests.pages.chat_desk import answered, send, settled
from tests.pages.screen import opened, press, ran, said


def test_long_chat_opens_with_its_last_messages_and_shows_earlier_ones_on_demand(services, ada):
    view = answered(services, ada.id, *(f"Question {number}" for number in range(9)))
    app = opened("chat", chat=view.chat.id)
    assert len(app.chat_message) == 12
    assert "Question 0" not in said(app)
    app = press(app, "Show earlier messages")
    assert len(app.chat_message) == 18
    assert "Question 0" in said(app)
    assert not {"Show earlier messages", "Show from here"} & {item.label for item in app.button}


def spoken(services, user_id, turns):
    """A chat with so many prompts, each answered; the ids of its messages."""
    chat_id = services.chats.new_chat(user_id=user_id, role="administrator").chat.id
    with services.store.transaction() as conn:
        ids, parent = [], None
        for number in range(turns):
            for role, content in (("user", f"Question {number}."), ("assistant", f"Answer {number}.")):
                parent = message_rows.insert_message(
                    conn, chat_id=chat_id, parent_id=parent, role=role, content=content
                )
                ids.append(parent)
        chats.update_chat(conn, chat_id=chat_id, leaf_message_id=parent, locked_at=chats.NOW, title="Long")
    return chat_id, ids


def drawn(app):
    """The ids of the messages that are drawn with their menus."""
    menu = "chat_icon_menu_"
    return [int(one.key.removeprefix(menu)) for one in app.get("menu_button") if menu in (one.key or "")]


def test_earlier_messages_next_to_the_last_ones_are_drawn_whole_and_never_more_than_a_page_of_them(services, ada):
    chat_id, ids = spoken(services, ada.id, 60)
    app = press(opened("chat", chat=chat_id), "Show earlier messages")
    assert drawn(app) == ids[-24:]
    for _ in range(2):
        app = press(app, "Show earlier messages")
    assert drawn(app) == ids[-24:]
    assert [f"Answer {number}." in said(app) for number in range(60)] == [True] * 60
    assert "Show earlier messages" not in [item.label for item in app.button]


def test_any_earlier_message_can_be_drawn_whole(services, ada):
    chat_id, ids = spoken(services, ada.id, 30)
    app = press(press(opened("chat", chat=chat_id), "Show earlier messages"), "Show earlier messages")
    app = press(app, "Show from here")
    assert drawn(app) == [*ids[:12], *ids[-12:]]
    assert said(app).count("Answer 20.") == 1
    assert [f"Answer {number}." in said(app) for number in range(30)] == [True] * 30


def test_earlier_prompt_can_be_worded_anew_and_its_versions_stepped_through(services, ada):
    chat_id, ids = spoken(services, ada.id, 10)
    app = press(opened("chat", chat=chat_id), "Show earlier messages")
    app.session_state["chat_state"].editing = ids[2]
    app = ran(app)
    next(one for one in app.text_area if one.value == "Question 1.").set_value("Another question.")
    app = press(app, "Send")
    view = settled(services, ada.id, chat_id)
    assert [message.id for message in view.messages][:2] == ids[:2]
    app = ran(app)
    assert ("Question 0." in said(app), "Question 1." in said(app), "Answer 9." in said(app)) == (True, False, False)
    app = press(app, "Earlier version")
    assert [f"Answer {number}." in said(app) for number in range(10)] == [False] * 4 + [True] * 6


def test_earlier_messages_stay_without_a_gap_when_the_chat_goes_on(services, ada):
    chat_id, _ = spoken(services, ada.id, 10)
    app = press(opened("chat", chat=chat_id), "Show earlier messages")
    app = ran(send(app, "One more"))
    settled(services, ada.id, chat_id)
    app = ran(app)
    assert [said(app).count(f"Question {number}.") for number in range(10)] == [1] * 10


def test_earlier_messages_that_were_not_asked_for_stay_away_when_the_chat_goes_on(services, ada):
    chat_id, ids = spoken(services, ada.id, 40)
    app = press(opened("chat", chat=chat_id), "Show earlier messages")
    asked_for = app.session_state["chat_state"].older[0].id
    for number in range(3):
        app = send(app, f"More {number}")
        settled(services, ada.id, chat_id)
        app = ran(app)
    older = [message.id for message in app.session_state["chat_state"].older]
    assert (older[0], older[: 36 + 6]) == (asked_for, ids[ids.index(asked_for) :][: 36 + 6])


def test_earlier_answer_stays_when_it_is_regenerated(services, ada):
    view = answered(services, ada.id, "Hello")
    turn = services.chats.regenerate(
        user_id=ada.id,
        role="administrator",
        chat_id=view.chat.id,
        message_id=view.messages[-1].id,
        params=Params(max_tokens=256, seed=2),
        request_key=uuid4(),
    )
    app = opened("chat", chat=view.chat.id)
    assert "2/2" in said(app)
    app = press(app, "Earlier version")
    assert "1/2" in said(app)
    assert turn.assistant_message.id != view.messages[-1].id


def test_notice_of_an_answer_that_comes_in_another_version_goes_with_it(services, ada):
    view = answered(services, ada.id, "Hello")
    app = opened("chat", chat=view.chat.id)
    page, coming = app.session_state["chat_state"], Coming(uuid4(), 1)
    page.notice = Notice("An answer is still coming.", code=GenerationRunning.code, kind="info")
    page.view = replace(page.view, elsewhere=coming)
    app = ran(app)
    assert not app.info


def test_prompt_can_be_worded_anew(services, ada):
    view = answered(services, ada.id, "Helo")
    app = opened("chat", chat=view.chat.id)
    app.session_state["chat_state"].editing = view.messages[0].id
    app = ran(app)
    next(one for one in app.text_area if one.value == "Helo").set_value("Hello")
    app = press(app, "Send")
    fresh = services.chats.open_chat(user_id=ada.id, role="administrator", chat_id=view.chat.id)
    assert (fresh.messages[0].content, fresh.messages[0].variants) == ("Hello", 2)


def reworded(app, before, text):
    next(one for one in app.text_area if one.value == before).set_value(text)
    return press(app, "Send")


def rewording(chat):
    app = opened("chat", chat=chat.id)
    app.session_state["chat_state"].editing = app.session_state["chat_state"].view.messages[0].id
    return ran(app)


def test_a_wording_that_a_missing_model_refuses_stays_in_its_field(services, ada, monkeypatch):
    view = answered(services, ada.id, "Helo")
    app = rewording(view.chat)

    def gone(*_args, **_more):
        raise NotFound("There is no model called `demo-small`.", cure="Choose another one.")

    monkeypatch.setattr(services.chats, "edit", gone)
    app = reworded(app, "Helo", "Hello")
    assert "There is no model" in app.error[0].value
    assert app.query_params["chat"] == str(view.chat.id)
    assert [one.value for one in app.text_area] == ["Hello"]


def test_a_wording_is_kept_when_the_chat_goes_away_in_mid_answer(services, ada, monkeypatch):
    view = answered(services, ada.id, "Helo")
    app = rewording(view.chat)
    monkeypatch.setattr(turn_actions, "running_generation", lambda _page: uuid4())  # its row went with the chat
    services.chats.delete(user_id=ada.id, chat_id=view.chat.id)
    app = reworded(app, "Helo", "Hello")
    assert "deleted in another tab" in app.warning[0].value
    assert app.chat_input[0].proto.value == "Hello"


def test_a_prompt_worded_anew_in_two_tabs_keeps_both_wordings(services, ada):
    view = answered(services, ada.id, "Helo")
    one, other = rewording(view.chat), rewording(view.chat)
    reworded(one, "Helo", "Hello")
    settled(services, ada.id, view.chat.id)
    reworded(other, "Helo", "Hallo")
    fresh = settled(services, ada.id, view.chat.id)
    assert (fresh.messages[0].content, fresh.messages[0].variants) == ("Hallo", 3)


def test_a_wording_for_a_chat_deleted_elsewhere_goes_into_the_input(services, ada):
    view = answered(services, ada.id, "Helo")
    app = rewording(view.chat)
    services.chats.delete(user_id=ada.id, chat_id=view.chat.id)
    app = reworded(app, "Helo", "Hello")
    assert "deleted in another tab" in app.warning[0].value
    assert app.chat_input[0].proto.value == "Hello"
