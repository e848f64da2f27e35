"""All fuzz targets by name, and the language whose tokens suit each."""

from __future__ import annotations

from tests.fuzz import content_targets, smtp_targets

TARGETS = content_targets.TARGETS | smtp_targets.TARGETS
LANGUAGES = dict.fromkeys(content_targets.TARGETS, "mime") | dict.fromkeys(smtp_targets.TARGETS, "smtp")
