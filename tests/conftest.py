"""For every tier: property tests say what they found, not how busy the machine was."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
