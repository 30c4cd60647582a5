"""Served by penstock. See penstock.compat.spyral."""

from penstock.compat.spyral.runs import *  # noqa: F403
