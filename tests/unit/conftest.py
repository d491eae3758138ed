"""For the whole tier: nothing here is judged by the clock on the wall."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("joblet", deadline=None)
settings.load_profile("joblet")
