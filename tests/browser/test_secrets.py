"""The key of the model's server stays in the app: not in a page, not in a frame, not in a log."""

from playwright.sync_api import expect

from tests.browser.app_process import PLANTED_KEY
from tests.browser.chat_screen import Chat
from tests.upstream import answer, refuse


def test_the_key_reaches_the_model_server_and_nobody_else(app, page, upstream):
    seen = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: seen.append(_bytes(frame))))
    page.on("response", lambda response: seen.append(_body(response)))
    chat = Chat(page, app.url).open()
    told = refuse(401, {"message": f"Incorrect API key provided: {PLANTED_KEY}.", "code": "invalid_api_key"})
    strange = refuse(500, {"message": f"Could not use {PLANTED_KEY} here.", "code": None})
    upstream.script(told, strange, strange, answer("Fine."))
    chat.send("One").done()
    chat.send("Two")
    expect(chat.answer).to_contain_text("failed to answer")
    chat.ask("Three", "Fine.")
    expect(chat.messages).to_have_count(6)
    assert upstream.wait_for_request().headers["authorization"] == f"Bearer {PLANTED_KEY}"
    assert b"Fine." in b"".join(seen)
    assert PLANTED_KEY.encode() not in b"".join(seen)
    assert PLANTED_KEY not in page.content()
    assert PLANTED_KEY not in app.logs()


def _bytes(frame):
    return frame if isinstance(frame, bytes) else frame.encode()


def _body(response):
    kind = response.headers.get("content-type", "")
    return response.body() if response.ok and kind.startswith(("text/html", "application/json")) else b""
