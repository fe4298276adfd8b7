"""Requests to one model server as the HTTP library asks for them, carried by aiohttp, whose parser is compiled: at a
hundred tokens a second what the HTTP library's own does for each piece costs more than decoding it (bench/README.md).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2
from yarl import URL

from chatplay.providers.safety import AddressPolicy, GuardedResolver

_MOST_CONNECTIONS = 1000
_IDLE_SEC = 4.0  # many servers hang up after five, and a request that meets that is lost
_MOST_HEADER_BYTES = 64 * 1024
_MOST_AT_ONCE_BYTES = 64 * 1024
# The HTTP library writes these itself, or leaves them out on purpose.
_OWN_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Transport(httpx2.AsyncBaseTransport):
    """All connections to `base_url`, or to the proxy that the environment names for it. Use it on one event loop.

    Each address is checked by `policy` at the moment of connecting. Errors are the HTTP library's own. A response has
    among its `extensions` its "body", a `Body`, and "written_sec", when the end of its request was handed to the
    connection, in seconds of the monotonic clock.
    """

    def __init__(self, base_url: str, policy: AddressPolicy, *, use_proxy: bool = True) -> None:
        self._policy = policy
        self._proxy = _proxy_for(base_url) if use_proxy else None
        self._tls = httpx2.create_ssl_context() if base_url.startswith("https") else True
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._policy.require_name(self._proxy.host or "" if self._proxy else request.url.host)
        self._session = self._session or self._open_session()
        moments = _Moments()
        with _in_their_words():
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers.raw],
                data=_payload(request.content),
                allow_redirects=False,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(connect=request.extensions.get("timeout", {}).get("connect")),
                trace_request_ctx=moments,
            )
        body = Body(response)
        return httpx2.Response(
            response.status,
            headers=response.raw_headers,
            stream=body,
            extensions={"http_version": b"HTTP/1.1", "body": body, "written_sec": moments.written_sec},
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(self._policy),
            use_dns_cache=False,
            ssl=self._tls,
            limit=_MOST_CONNECTIONS,
            keepalive_timeout=_IDLE_SEC,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OWN_HEADERS,
            auto_decompress=False,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
            trace_configs=[_tracing()],
        )


class Body(httpx2.AsyncByteStream):
    """What a server answers, as it arrives."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def read(self) -> bytes:
        """What has arrived, at least one byte; b"" once the answer has ended. Raises httpx2.ReadError."""
        content = self._response.content
        try:
            return await content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:  # the last: what it read was not HTTP
            if arrived := content._read_nowait(-1):  # before it broke off; aiohttp would keep it to itself
                return arrived
            raise httpx2.ReadError(str(error)) from error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece

    async def aclose(self) -> None:
        """At once: what the server still sends is not waited for. A connection that was read to the end is kept."""
        self._response.close()


class _Moments:
    """What is noted of one request on its way."""

    written_sec: float | None = None


def _tracing() -> aiohttp.TraceConfig:
    """Notes when the last piece of a request goes out; before it does, as the thread may have to wait afterwards."""

    async def on_chunk(_session: aiohttp.ClientSession, context: Any, _params: object) -> None:
        context.trace_request_ctx.written_sec = time.monotonic()

    config = aiohttp.TraceConfig()
    config.on_request_chunk_sent.append(on_chunk)
    return config


def _payload(content: bytes) -> bytes | BytesIO | None:
    """Much of it goes out in pieces, so that the loop can turn to others."""
    return BytesIO(content) if len(content) > _MOST_AT_ONCE_BYTES else content or None


def _proxy_for(base_url: str) -> URL | None:
    """The proxy the environment names for an address, unless it says to go past it."""
    parts, proxies = urlsplit(base_url), getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.netloc):
        return None
    return URL(found if "://" in found else f"http://{found}")


@contextmanager
def _in_their_words() -> Iterator[None]:
    """Turns aiohttp's errors, of a request whose answer has not begun, into the HTTP library's."""
    try:
        yield
    except (aiohttp.ConnectionTimeoutError, TimeoutError) as error:
        raise httpx2.ConnectTimeout("no connection in time") from error
    except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
        raise httpx2.ConnectError(str(error)) from error
    except (aiohttp.InvalidURL, ValueError) as error:
        raise httpx2.LocalProtocolError(str(error)) from error
    except aiohttp.ClientOSError as error:
        raise httpx2.ReadError(str(error)) from error
    except aiohttp.ClientError as error:  # hung up, or answered with something else than HTTP
        raise httpx2.RemoteProtocolError(str(error)) from error
