"""What the chat page shows in each of its states, on real services with the Demo model."""

from dataclasses import replace
from uuid import uuid4

import pytest

from chatplay.errors import ProviderUnreachable, StoreUnavailable
from chatplay.params import Params, Range
from chatplay.providers.demo import DemoProvider
from tests.pages.chat_desk import answered, send, settled
from tests.pages.screen import html, opened, press, ran, said


def test_first_visit_says_what_to_do_and_shows_every_control(services, ada):
    app = opened("chat")
    assert "Ask the model something" in said(app)
    assert "Performance: n/a | TTFT: n/a" in html(app)
    assert "Context: 512 / 8,192 tokens" in html(app)
    assert app.selectbox[0].label == "Model Selector"
    assert [item.label for item in app.slider[:2]] == ["Temperature", "Max tokens"]
    assert app.chat_input[0].placeholder == "Type a message..."


def test_first_message_is_answered_and_locks_the_model(services, ada):
    app = send(opened("chat"), "Hello **there**")
    assert "Hello **there**" in said(app)
    assert "Model locked" in said(app)
    view = settled(services, ada.id)
    assert [message.status for message in view.messages] == ["complete", "complete"]
    assert app.query_params["chat"] == str(view.chat.id)


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
