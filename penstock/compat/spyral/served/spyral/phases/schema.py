"""Served by penstock. See penstock.compat.spyral."""

from penstock.compat.spyral.schema import *  # noqa: F403
