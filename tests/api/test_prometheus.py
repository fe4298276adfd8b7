"""`/metrics`: the figures Prometheus reads, and who may read them."""

import ipaddress

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from chatplay.api.prometheus import CountRequests, MetricsDoor, RequestCounts
from chatplay.settings import Settings
from tests.api.openai_rig import MODEL, rig, until
from tests.databases import fresh_database
from tests.upstream import answer, refuse

TOKEN = "a-token-for-prometheus"


@pytest.fixture(scope="module")
def house(embedded_url):
    with fresh_database(embedded_url) as url, rig(url) as house:
        yield house


async def page(_request):
    return PlainTextResponse("Streamlit's own")


def client_of(runtime=None, *, peer="127.0.0.1", host="127.0.0.1:8501", **settings):
    counts, given = RequestCounts(), Settings(**settings)
    routes = [Route("/metrics", page), Route("/_stcore/metrics", page), Mount("/auth", routes=[Route("/whoami", page)])]
    door = Middleware(MetricsDoor, counts=counts, get_settings=lambda: given, find_runtime=lambda: runtime)
    app = Starlette(routes=routes, middleware=[Middleware(CountRequests, counts=counts), door])
    return TestClient(app, base_url=f"http://{host}", client=(peer, 50_000))


def samples(client, path="/metrics", **headers):
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    found = text_string_to_metric_families(response.text)
    return {(one.name, *sorted(one.labels.items())): one.value for family in found for one in family.samples}


# ---- figures ----


def test_requests_are_counted_by_route_method_and_status():
    client = client_of()
    for path in ("/auth/whoami", "/auth/whoami", "/nothing/at/all", "/nothing/else"):
        client.get(path)
    found = samples(client)
    name = "chatplay_http_requests_total"
    assert found[name, ("method", "GET"), ("route", "/auth/whoami"), ("status", "200")] == 2
    assert found[name, ("method", "GET"), ("route", "other"), ("status", "404")] == 2


def test_unknown_method_makes_no_label_of_its_own():
    client = client_of()
    client.request("BREW", "/auth/whoami")
    labels = [dict(sample[1:]) for sample in samples(client) if sample[0] == "chatplay_http_requests_total"]
    assert [found["method"] for found in labels] == ["other"]


def test_calls_are_counted_as_they_end(house):
    house.upstream.script(answer("Hello", " there"), refuse(500))
    house.ask(stream=True)
    with pytest.raises(Exception, match="500"):
        house.ask()
    until(lambda: house.runtime.generations.hub.running_count == 0)
    found = samples(client_of(house.runtime))
    source = ("source", "completions")
    assert found["chatplay_services_up",] == 1
    assert found["chatplay_generations_running",] == 0
    assert found["chatplay_generations_total", source, ("status", "complete")] == 1
    assert found["chatplay_generations_total", source, ("status", "failed")] == 1
    assert found["chatplay_generation_errors_total", ("class", "provider_bad_answer")] == 1
    assert found["chatplay_tokens_total", ("kind", "completion"), source] == 2
    assert found["chatplay_time_to_first_token_seconds_bucket", ("le", "+Inf"), source] == 1
    assert found["chatplay_time_to_first_token_seconds_count", source] == 1
    assert 0 < found["chatplay_time_to_first_token_seconds_sum", source] < 60


def test_pool_and_hub_are_told(house):
    with house.runtime.store.reading():
        found = samples(client_of(house.runtime))
    assert 1 <= found["chatplay_db_pool_connections", ("state", "in_use")] <= 20
    assert found["chatplay_db_pool_max_connections",] == 20
    assert found["chatplay_event_log_waiting_deltas",] == 0


def test_figures_hold_no_text_of_anybody(house):
    house.upstream.script(answer("a secret answer"))
    house.ask("a secret question")
    text = client_of(house.runtime).get("/metrics").text
    assert "secret" not in text
    assert MODEL not in text


def test_process_that_has_not_started_yet_says_so():
    assert samples(client_of())["chatplay_services_up",] == 0


# ---- who may ----


@pytest.mark.parametrize("path", ["/metrics", "/_stcore/metrics", "/_stcore/metrics/", "/base/_stcore/metrics"])
@pytest.mark.parametrize(
    "more",
    [
        {"peer": "192.0.2.7"},
        {"host": "chat.example.org"},
        {"public_url": "https://chat.example.org"},
        {"trusted_proxies": (ipaddress.ip_network("10.0.0.0/8"),)},
        {"metrics_token": TOKEN},
    ],
)
def test_figures_are_closed_to_others(path, more):
    response = client_of(**more).get(path)
    assert (response.status_code, response.json()["error"]["type"]) == (401, "not_signed_in")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto"])
def test_what_was_forwarded_does_not_come_from_this_machine(header):
    assert client_of().get("/metrics", headers={header: "127.0.0.1"}).status_code == 401


def test_this_machine_reads_both(house):
    assert samples(client_of(house.runtime))
    assert client_of().get("/_stcore/metrics").text == "Streamlit's own"
    assert client_of(host="localhost:8501", peer="::1").get("/metrics").status_code == 200


def test_token_opens_both_from_anywhere():
    client = client_of(metrics_token=TOKEN, public_url="https://chat.example.org", peer="192.0.2.7", host="other")
    for path in ("/metrics", "/_stcore/metrics"):
        assert client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert client.get(path, headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert client.get(path, headers={"authorization": TOKEN}).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "TRACE"])
@pytest.mark.parametrize("path", ["/metrics", "/_stcore/metrics"])
def test_figures_are_only_read(house, path, method):
    response = client_of(house.runtime).request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


def test_browser_gets_the_page_of_the_same_address():
    client = client_of(peer="192.0.2.7", host="chat.example.org")
    response = client.get("/metrics", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert response.text == "Streamlit's own"


def test_format_is_the_one_that_was_asked_for():
    client = client_of()
    asked = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    response = client.get("/metrics", headers=asked)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
    assert client.get("/metrics").headers["content-type"].startswith("text/plain")
