"""One file, two readers: Streamlit runs it as the script that draws the frame; the server imports it for `app`."""

from __future__ import annotations

if __name__ == "__main__":
    from chatplay.ui import frame

    frame.draw()
else:
    import gc
    from pathlib import Path

    import streamlit as st
    from streamlit.runtime.pages_manager import PagesManager

    from chatplay.logs import hush_import_chatter
    from chatplay.ui.serving import know_the_public_address, listen_as_configured

    listen_as_configured(Path(__file__))
    know_the_public_address()
    hush_import_chatter()

    from chatplay.api import server
    from chatplay.api.page import our_page
    from chatplay.ui import frame, warm
    from chatplay.ui.late_clicks import keep_late_clicks
    from chatplay.ui.together import send_together

    # Until the first st.navigation Streamlit would run a file of pages/ by itself, past the gate.
    PagesManager.uses_pages_directory = False
    keep_late_clicks()
    send_together()

    page = our_page(Path(st.__file__).parent / "static" / "index.html")
    app = st.App(
        __file__,
        routes=server.routes(page),
        middleware=server.middleware(page),
        lifespan=server.lifespan,
    )
    gc.freeze()  # Streamlit collects garbage after every run: 100 ms each, unless what is loaded is left out
    warm.begin()
