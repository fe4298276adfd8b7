"""Who may ask through OpenAI's protocol, how often, and for which models."""

import httpx2
import openai
import pytest

from chatplay.providers.registry import ModelSettings
from chatplay.providers.registry import Upstream as Server
from db.paces import Pace
from tests.api.openai_rig import ASKED, MODEL
from tests.upstream import Upstream, answer


@pytest.fixture
def house(openai_house):
    return openai_house


# ---- who asks ----


@pytest.mark.parametrize("key", ["sk-wrong", "cpat_wrong"])
def test_wrong_key_is_said_as_openai_says_it(house, key):
    with house.client(api_key=key) as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(**ASKED)
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
    with house.client(api_key=key) as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_token_without_the_scope_is_not_allowed(house):
    token = house.runtime.access_tokens.create(actor=house.person, name="reader", scopes=("read",), days=1).secret
    with house.client(api_key=token) as client, pytest.raises(openai.PermissionDeniedError, match="scope `chat`"):
        client.chat.completions.create(**ASKED)


def test_too_many_requests_are_told_to_wait(house, monkeypatch):
    monkeypatch.setattr(house.runtime.limits, "_per_person", Pace(every_sec=60, burst=1))
    forget_requests(house)
    house.ask()
    with pytest.raises(openai.RateLimitError) as caught:
        house.ask()
    assert int(caught.value.response.headers["retry-after"]) > 30
    forget_requests(house)


def forget_requests(house):
    with house.runtime.store.transaction() as conn:
        conn.exec_driver_sql("DELETE FROM request_limits")


# ---- models ----


def test_models_are_listed_once_each(house):
    with house.client() as client:
        listed = list(client.models.list())
    ids = [model.id for model in listed]
    assert len(ids) == len(set(ids))
    assert {MODEL, "org/slashed", "echo"} <= set(ids)
    assert next(model for model in listed if model.id == "echo").owned_by == "echo"


def test_model_is_found_by_an_id_with_slashes(house):
    with house.client() as client:
        found = client.models.retrieve("org/slashed")
    assert (found.id, found.owned_by, found.object) == ("org/slashed", "openai", "model")


def test_unknown_model_is_not_found(house):
    with house.client() as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("nothing/here")
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError, match="does not exist or you do not have access"):
            client.chat.completions.create(**ASKED | {"model": "nothing"})


def test_name_of_two_servers_stands_for_the_first_and_the_other_has_its_own_id(house):
    catalog = house.runtime.catalog
    with Upstream(default=answer("from the lab")) as lab:
        server = Server("lab", "openai", base_url=lab.base_url, allowed_models=(MODEL,), source="models.toml")
        catalog.set_upstreams((*catalog.upstreams, server))
        house.upstream.script(answer("from the first"))
        with house.client() as client:
            assert f"lab/{MODEL}" in [model.id for model in client.models.list()]
        assert house.ask().choices[0].message.content == "from the first"
        found = house.ask(model=f"lab/{MODEL}")
    assert (found.choices[0].message.content, found.model) == ("from the lab", f"lab/{MODEL}")


def test_model_of_another_role_does_not_exist(house):
    catalog = house.runtime.catalog
    closed = Server("closed", "echo", allowed_models=("secret",), per_model={"secret": ModelSettings(roles=())})
    catalog.set_upstreams((*catalog.upstreams, closed))
    with pytest.raises(openai.NotFoundError, match="does not exist or you do not have access"):
        house.ask(model="secret")


def test_running_models_and_constraints_keep_their_own_routes(house):
    headers = {"authorization": f"Bearer {house.token}"}
    for path in ("running", "org/slashed/constraints"):
        assert httpx2.get(f"{house.url}/v1/models/{path}", headers=headers).status_code == 200
