"""What the chat page shows in each of its states, on real services with the Demo model."""

import threading
from dataclasses import replace
from uuid import uuid4

import pytest

from chatplay.chats.values import Coming
from chatplay.errors import GenerationRunning, ProviderUnreachable, StoreUnavailable
from chatplay.params import Params, Range
from chatplay.providers.demo import DemoProvider
from chatplay.ui.chat import turn_actions
from chatplay.ui.state import ChatState, Notice
from db import chats
from db import messages as message_rows
from tests.pages import model_servers
from tests.pages.screen import html, opened, press, ran, said


def send(app, text):
    app.chat_input[0].set_value(text)
    return ran(app)


def settled(services, user_id, chat_id=None):
    """The chat once its answer has reached the database."""
    for _ in range(2000):
        view = services.chats.open_chat(user_id=user_id, role="administrator", chat_id=chat_id)
        if view.running is None:
            return view
        threading.Event().wait(0.005)
    raise AssertionError("the answer never reached the database")


def answered(services, user_id, *texts):
    """A chat in which each of `texts` was asked and answered; gives its last view."""
    me = {"user_id": user_id, "role": "administrator"}
    chat_id = services.chats.new_chat(**me).chat.id
    for text in texts:
        turn = services.chats.send(
            **me, chat_id=chat_id, text=text, params=Params(max_tokens=256, seed=1), request_key=uuid4()
        )
        list(services.chats.follow(user_id=user_id, generation_id=turn.generation_id))
    return settled(services, user_id, chat_id)


def test_first_visit_says_what_to_do_and_shows_every_control(services, ada):
    app = opened("chat")
    assert "Ask the model something" in said(app)
    assert "Performance: n/a | TTFT: n/a" in html(app)
    assert "Context: 512 / 8,192 tokens" in html(app)
    assert app.selectbox[0].label == "Model Selector"
    assert [item.label for item in app.slider[:2]] == ["Temperature", "Max tokens"]
    assert app.chat_input[0].placeholder == "Type a message..."


@pytest.fixture
def lab(services):
    """A model server before the Demo; told whether it runs, it is found so by the next check."""
    model_servers.serve(services, model_servers.server(), demo=True)

    def found(*, running):
        health = model_servers.well(services, "tiny") if running else model_servers.down(services)
        if not running:
            health = replace(health, models=model_servers.well(services, "tiny").models)
        services.catalog.set_health({"lab": health})

    found(running=True)
    return found


def chosen(app):
    return app.selectbox[0].value


def stored(services, ada):
    return services.chats.new_chat(user_id=ada.id, role=ada.role).chat


def test_empty_chat_begins_with_the_default_model_again_after_an_outage(services, ada, lab):
    assert "tiny" in chosen(opened("chat"))
    chat_id = stored(services, ada).id
    lab(running=False)
    app = opened("chat", chat=chat_id)
    assert "demo-small" in chosen(app)
    assert "tiny does not run at the moment" in said_as(app.info)
    assert stored(services, ada).model_name == "tiny"
    lab(running=True)
    app = ran(app)
    assert "tiny" in chosen(app)
    assert "tiny runs again" in said_as(app.info)
    assert "does not run" not in said_as(app.info)
    assert "tiny" in chosen(opened("chat", chat=chat_id))


def test_model_that_a_person_chose_outlives_an_outage_too(services, ada, lab):
    other = next(info for info in services.catalog.list_running(ada.role) if info.name == "demo-small")
    tiny = services.catalog.get("tiny", role=ada.role)
    chat = stored(services, ada)
    for model in (other, tiny):
        services.chats.choose_model(user_id=ada.id, role=ada.role, chat_id=chat.id, model=model)
    lab(running=False)
    assert "demo-small" in chosen(opened("chat", chat=chat.id))
    lab(running=True)
    assert "tiny" in chosen(opened("chat", chat=chat.id))


def test_empty_chat_made_in_an_outage_is_the_defaults_when_its_address_is_opened_later(services, ada, lab):
    lab(running=False)
    chat = stored(services, ada)
    assert chat.model_name == "demo-small"
    lab(running=True)
    assert "tiny" in chosen(opened("chat", chat=chat.id))
    assert stored(services, ada).model_name == "tiny"


def test_message_sent_in_an_outage_is_answered_by_the_model_on_show_and_locks_it(services, ada, lab):
    stored(services, ada)
    lab(running=False)
    app = send(opened("chat"), "Hello")
    view = settled(services, ada.id)
    assert (view.chat.model_name, view.messages[-1].status) == ("demo-small", "complete")
    lab(running=True)
    app = ran(app)
    assert "demo-small" in chosen(app)
    assert "runs again" not in said_as(app.info)


def said_as(notices):
    return " ".join(one.value for one in notices).replace("\\", "").replace(":color[:]", ":")


def test_first_message_is_answered_and_locks_the_model(services, ada):
    app = send(opened("chat"), "Hello **there**")
    assert "Hello **there**" in said(app)
    assert "Model locked" in said(app)
    view = settled(services, ada.id)
    assert [message.status for message in view.messages] == ["complete", "complete"]
    assert app.query_params["chat"] == str(view.chat.id)


def test_a_message_draws_its_turn_alone_once_the_browser_has_the_page(services, ada):
    app = opened("chat")
    page = app.session_state["chat_state"]
    page.drawn_sec -= 60
    app = send(app, "Hello")
    assert [turn.user_message.content for turn in page.turns] == ["Hello"]
    assert page.view.messages == ()


def test_a_message_sent_while_the_page_is_drawn_has_it_drawn_whole(services, ada):
    """What of it was not sent yet, Streamlit drops; the input would be gone for good."""
    app = opened("chat")
    page = app.session_state["chat_state"]
    app = send(app, "Hello")
    assert [message.content for message in page.view.messages][:1] == ["Hello"]
    assert len(app.chat_input) == 1


@pytest.mark.parametrize("by_same_thread", [True, False])
def test_a_message_that_waited_for_the_page_comes_from_the_thread_that_drew_it(by_same_thread):
    page = ChatState(drawn_by=threading.current_thread() if by_same_thread else threading.Thread(), drawn_sec=0.0)
    assert turn_actions._may_lack_input(page) == by_same_thread


def test_answer_carries_its_figures(services, ada):
    view = answered(services, ada.id, "Hello")
    app = opened("chat", chat=view.chat.id)
    assert "Time between tokens, p50 / p95" in html(app)
    assert "Performance: n/a" not in html(app)
    assert app.selectbox[0].disabled


def test_settings_travel_with_the_message(services, ada):
    app = opened("chat")
    next(one for one in app.slider if one.label == "Temperature").set_value(0.2)
    app = send(app, "Hello")
    view = settled(services, ada.id)
    assert view.chat.params.temperature == 0.2
    assert view.messages[-1].metrics.params.temperature == 0.2


def advanced(app, *, is_open):
    app.session_state["chat_advanced"] = is_open
    return ran(app)


def field(app, label):
    return next(
        (one for kind in (app.slider, app.number_input, app.text_area) for one in kind if one.label == label), None
    )


def test_advanced_settings_are_drawn_when_open_and_count_when_closed_again(services, ada):
    app = opened("chat")
    assert field(app, "Top-p") is None
    app = advanced(app, is_open=True)
    field(app, "Top-p").set_value(0.4)
    field(app, "Seed").set_value(7)
    field(app, "System prompt").set_value("Be brief.")
    app = send(advanced(ran(app), is_open=False), "Hello")
    sent = settled(services, ada.id).messages[-1].metrics.params
    assert (sent.top_p, sent.seed, sent.system_prompt) == (0.4, 7, "Be brief.")
    app = advanced(app, is_open=True)
    assert (field(app, "Top-p").value, field(app, "Seed").value) == (0.4, 7)


def test_advanced_settings_of_one_chat_do_not_follow_into_an_older_one(services, ada):
    old = answered(services, ada.id, "Hello")
    app = advanced(press(opened("chat"), "\\+ New Chat"), is_open=True)
    field(app, "Top-p").set_value(0.4)
    app = advanced(ran(app), is_open=False)
    app.query_params["chat"] = str(old.chat.id)
    app = advanced(ran(app), is_open=True)
    assert (field(app, "Top-p").value, field(app, "Seed").value) == (1.0, 1)


def test_setting_left_to_the_server_is_shown_within_the_range_of_the_model(services, ada):
    demo = next(one for one in services.catalog.upstreams if one.name == "demo")
    services.catalog.set_upstreams([replace(demo, ranges={"max_tokens": Range(1024, 8192)})])
    me = {"user_id": ada.id, "role": "administrator"}
    chat_id = services.chats.new_chat(**me).chat.id
    services.chats.send(**me, chat_id=chat_id, text="Hello", params={"max_tokens": None}, request_key=uuid4())
    settled(services, ada.id, chat_id)
    assert field(opened("chat", chat=chat_id), "Max tokens").value == 1024
    assert field(opened("chat"), "Max tokens").value == 1024


@pytest.mark.parametrize("text", ["x" * 200_001, "a\0b"])
def test_refused_text_goes_back_into_the_input(services, ada, text):
    app = send(opened("chat"), text)
    assert "Your text is back in the input" in app.error[0].value
    assert app.chat_input[0].proto.value == text
    assert not app.chat_message


def test_blank_message_is_refused_and_leaves_the_input_to_the_next_words(services, ada):
    app = send(opened("chat"), "   ")
    assert "empty" in app.error[0].value
    assert "back in the input" not in app.error[0].value
    assert not app.chat_input[0].proto.set_value


def test_address_that_is_not_mine_or_not_an_id_looks_the_same(services, ada):
    notices = [opened("chat", chat=value).warning[0].value for value in (uuid4(), "nonsense")]
    assert notices[0] == notices[1]
    assert "no such chat" in notices[0]


def test_chat_deleted_elsewhere_leads_to_a_fresh_one_with_the_text(services, ada):
    view = answered(services, ada.id, "Hello")
    app = opened("chat", chat=view.chat.id)
    services.chats.delete(user_id=ada.id, chat_id=view.chat.id)
    app = send(app, "Still there?")
    assert "deleted in another tab" in app.warning[0].value
    assert app.chat_input[0].proto.value == "Still there?"
    assert app.query_params["chat"] != str(view.chat.id)


def test_message_sent_where_the_thread_went_on_elsewhere_shows_what_came_between(services, ada):
    view = answered(services, ada.id, "Question 0")
    app = opened("chat", chat=view.chat.id)
    me = {"user_id": ada.id, "role": ada.role, "chat_id": view.chat.id}
    services.chats.send(**me, text="Question 1", params=Params(max_tokens=256), request_key=uuid4())
    settled(services, ada.id, view.chat.id)
    app = send(app, "Question 2")
    assert all(f"Question {number}" in said(app) for number in range(3))
    assert len(app.chat_message) == 6


def test_database_away_is_said_and_the_text_is_kept(services, ada, monkeypatch):
    app = opened("chat")

    def away(*_args, **_more):
        raise StoreUnavailable("The database cannot be reached.", cure="Try again in a moment.")

    monkeypatch.setattr(services.chats, "send", away)
    app = send(app, "Keep me")
    assert "database cannot be reached" in app.error[0].value
    assert app.chat_input[0].proto.value == "Keep me"


def test_failed_answer_names_the_provider_and_the_next_steps(services, ada, monkeypatch):
    async def unreachable(_self, _request):
        raise ProviderUnreachable(
            "The server refused the connection.", provider="demo", model="demo-small", cure="Start it."
        )
        yield

    monkeypatch.setattr(DemoProvider, "stream", unreachable)
    app = send(opened("chat"), "Hello")
    assert "refused the connection" in app.error[0].value
    assert "Server: demo" in app.error[0].value.replace(":color[:]", ":")
    assert {"Retry", "Choose another model"} <= {item.label for item in app.button}
    assert "Waiting for the first token" not in html(app)


def test_clear_chat_asks_first_and_keeps_the_chat_in_the_history(services, ada):
    view = answered(services, ada.id, "A first question")
    app = press(opened("chat", chat=view.chat.id), "Clear chat")
    assert "stays in your history" in said(app)
    next(one for one in app.button if one.key == "chat_dialog_yes").click()
    app = ran(app)
    assert "Ask the model something" in said(app)
    cleared = services.chats.open_chat(user_id=ada.id, role=ada.role, chat_id=view.chat.id)
    assert cleared.chat.ended_at is not None


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


@pytest.mark.parametrize("way", ["\\+ New Chat", "Clear chat"])
def test_settings_changed_without_sending_stay_with_their_chat_and_go_along(services, ada, way):
    view = answered(services, ada.id, "Hello")
    app = opened("chat", chat=view.chat.id)
    next(one for one in app.slider if one.label == "Temperature").set_value(0.2)
    app = press(app, way)
    if way == "Clear chat":
        next(one for one in app.button if one.key == "chat_dialog_yes").click()
        app = ran(app)
    left = services.chats.open_chat(user_id=ada.id, role=ada.role, chat_id=view.chat.id)
    assert left.chat.params.temperature == 0.2
    assert next(one for one in app.slider if one.label == "Temperature").value == 0.2


def test_without_a_model_the_page_says_so_and_takes_no_message(services, ada, monkeypatch):
    view = answered(services, ada.id, "Hello")
    monkeypatch.setattr(services.catalog, "list_running", lambda _role: ())
    app = opened("chat", chat=view.chat.id)
    assert "No models running" in said(app)
    assert app.chat_input[0].disabled
    assert [title.value for title in press(app, "Open the Models page").title] == ["Models"]


def test_provider_in_the_address_is_for_development_only(services, ada):
    app = opened("chat", provider="echo")
    assert "demo" in app.selectbox[0].value
