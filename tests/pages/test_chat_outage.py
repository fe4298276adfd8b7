"""A new chat whose model server is away for a while: its own model waits for it, another one stands in."""

from dataclasses import replace

import pytest

from tests.pages import model_servers
from tests.pages.chat_desk import send, settled
from tests.pages.screen import opened, ran


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
