"""Where a model server may be: refused addresses stay refused whatever name, notation or second answer hides them."""

import asyncio
import socket

import pytest

from chatplay.errors import BadInput, ConfigError, ProviderBadAnswer, ProviderUnreachable
from chatplay.params import Params
from chatplay.providers.base import Message, Request
from chatplay.providers.openai import Limits, OpenAIProvider
from chatplay.providers.safety import AddressPolicy, AddressRefused, GuardedResolver, check_base_url
from tests import upstream as mock

POLICY = AddressPolicy()
ALLOWED = ["127.0.0.1", "10.0.0.5", "192.168.1.9", "172.16.0.1", "::1", "fd12::1", "8.8.8.8", "2606:4700::1"]
REFUSED = [
    "169.254.169.254",
    "169.254.10.1",
    "fe80::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "64:ff9b:1::a9fe:a9fe",
    "::169.254.169.254",
    "fd20:ce::254",
]


def connect(host, answers, policy=POLICY):
    """The addresses that may be connected to for `host`, whose name stands for `answers`."""

    async def resolve(name, port):
        return answers

    return [found["host"] for found in asyncio.run(GuardedResolver(policy, resolve).resolve(host, 80))]


@pytest.mark.parametrize("address", ALLOWED)
def test_server_at_an_ordinary_address_is_connected_to(address):
    assert connect("lab", [address]) == [address]


@pytest.mark.parametrize("address", REFUSED)
def test_name_of_a_refused_address_is_not_connected_to(address):
    with pytest.raises(AddressRefused):
        connect("innocent.example", [address])


@pytest.mark.parametrize("address", REFUSED)
def test_refused_address_in_a_base_url_is_bad_input(address):
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(BadInput) as caught:
        check_base_url(f"http://{host}/v1", POLICY)
    assert caught.value.param == "base_url"


def test_name_with_one_refused_address_among_good_ones_is_not_connected_to():
    with pytest.raises(AddressRefused):
        connect("mixed.example", ["8.8.8.8", "169.254.169.254"])


def test_connection_goes_to_the_address_that_was_checked():
    assert connect("rebinding.example", ["8.8.8.8"]) == ["8.8.8.8"]


@pytest.mark.parametrize("host", ["metadata.google.internal", "METADATA.google.internal.", "metadata"])
def test_metadata_names_are_refused_whatever_they_stand_for(host):
    with pytest.raises(AddressRefused):
        connect(host, ["8.8.8.8"])


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"])
def test_other_notations_of_a_refused_address_are_seen_through(host):
    with pytest.raises(
        (AddressRefused, socket.gaierror)
    ):  # where the system does not know the notation, it has no address
        asyncio.run(GuardedResolver(POLICY).resolve(host, 80))


def test_host_allowed_by_name_is_connected_to():
    policy = AddressPolicy(("gpu.link.local", "169.254.7.7"))
    assert connect("GPU.link.local", ["169.254.7.8"], policy) == ["169.254.7.8"]
    assert connect("other.example", ["169.254.7.7"], policy) == ["169.254.7.7"]
    assert check_base_url("http://169.254.7.7:8000/v1/", policy) == "http://169.254.7.7:8000/v1"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/v1",
        "file:///etc/passwd",
        "host:8000",
        "http://",
        "http://host:99999/v1",
        "http://user:secret@host/v1",
        "http://host/v1?key=secret",
        "http://host/v1#x",
        "http://ho st/v1",
        "http://host/v1\nx",
        "http://[::1/v1",
    ],
)
def test_base_url_that_is_more_or_less_than_an_address_is_refused(url):
    with pytest.raises(BadInput) as caught:
        check_base_url(url, POLICY)
    assert "secret" not in str(caught.value)


async def ask(provider):
    request = Request("mock-model", (Message("user", "Hi"),), Params())
    try:
        return [chunk async for chunk in provider.stream(request)]
    finally:
        await provider.aclose()


def test_provider_does_not_connect_to_a_refused_address(monkeypatch):
    async def resolve(host, port):
        return ["169.254.169.254"]

    monkeypatch.setattr("chatplay.providers.safety._resolve", resolve)
    provider = OpenAIProvider("lab", base_url="http://innocent.example/v1", limits=Limits(connect_sec=0.5))
    with pytest.raises(ProviderUnreachable, match="metadata service"):
        asyncio.run(ask(provider))


def test_provider_behind_a_proxy_of_the_environment_is_guarded_too(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://169.254.1.1:3128")
    provider = OpenAIProvider("lab", base_url="http://innocent.example/v1", limits=Limits(connect_sec=0.5))
    with pytest.raises(ProviderUnreachable, match="link-local"):
        asyncio.run(ask(provider))


def test_provider_does_not_follow_a_redirect():
    with mock.Upstream() as elsewhere, mock.Upstream() as server:
        away = (("location", f"{elsewhere.base_url}/chat/completions"), ("content-length", "0"))
        server.script(mock.steps(mock.Head(307, away, chunked=False)))
        with pytest.raises(ProviderBadAnswer, match="redirect"):
            asyncio.run(ask(OpenAIProvider("lab", base_url=server.base_url)))
        assert elsewhere.requests == []


@pytest.mark.parametrize("url", ["http://0251.0376.0251.0376/v1", "http://\u2460.1.1.1/v1"])
def test_address_that_the_http_library_does_not_take_is_refused_before_it_is_stored(url):
    with pytest.raises(BadInput):
        check_base_url(url, POLICY)
    with pytest.raises(ConfigError):
        OpenAIProvider("lab", base_url=url)
