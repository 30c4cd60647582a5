"""Served by penstock. See penstock.compat.spyral."""

from penstock.compat.spyral.messages import *  # noqa: F403
