"""Served by penstock. See penstock.compat.spyral."""

from penstock.compat.spyral.pipeline import *  # noqa: F403
