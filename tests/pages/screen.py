"""A page of the app as somebody sees and uses it: opened at an address, run, its buttons pressed, its words read."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

from chatplay.settings import ROOT

APP = str(ROOT / "app.py")


def opened(page: str, **query: Any) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=90).run().switch_page(f"pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = str(value)
    return ran(app)


def ran(app: AppTest) -> AppTest:
    """Run, and nothing was raised on the page."""
    app.run()
    assert not app.exception, app.exception
    return app


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def press(app: AppTest, label: str) -> AppTest:
    button(app, label).click()
    return ran(app)


def choose(app: AppTest, column: str, row: int) -> AppTest:
    """The row chosen in the table that has this column; AppTest itself cannot."""
    table = next(one for one in app.dataframe if column in one.value)
    key = table.proto.id.split("-", 2)[2]
    app.session_state[key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return ran(app)


def labels(app: AppTest) -> list[str]:
    """Those of the buttons."""
    return [one.label for one in app.button]


def figures(app: AppTest) -> dict[str, str]:
    return {item.label: item.value for item in app.metric}


def charts(app: AppTest) -> int:
    return len(app.get("vega_lite_chart"))


def html(app: AppTest) -> str:
    """Our own elements; what they look like is not what they say."""
    bodies = [item.proto.body for item in app.get("html")]
    return "\n".join(body for body in bodies if not body.startswith("<style>"))


def notices(app: AppTest) -> str:
    """What is said in a coloured box."""
    return "\n".join(item.value for kind in (app.error, app.warning, app.info, app.success) for item in kind)


def said(app: AppTest) -> str:
    """Everything there is to read, without what keeps Markdown from taking a sign for its own."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.text)
    texts = [item.value for kind in kinds for item in kind]
    texts += [item.proto.body for item in app.get("badge")]
    return "\n".join([notices(app), *texts, html(app)]).replace("\\", "").replace(":color[:]", ":")


def table_with(app: AppTest, column: str) -> Any:
    """The first table that has such a column."""
    return next(one.value for one in app.dataframe if column in one.value.columns)


def with_numbers(app: AppTest, experiment: Any, card: str) -> AppTest:
    """With the numbers behind the chart of a card opened."""
    app.session_state[f"experiments_numbers_{card}_{experiment.id}"] = True
    return ran(app)
