"""The Demo model."""

from __future__ import annotations

from chatplay.providers.echo import EchoProvider

DEMO_MODELS = ("demo-small", "demo-large")


class DemoProvider(EchoProvider):
    """A stand-in that echoes until the sampler is here."""

    name = "demo"
