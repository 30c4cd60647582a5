"""Served by penstock. See penstock.compat.spyral."""

from penstock.compat.spyral.parameters import *  # noqa: F403
