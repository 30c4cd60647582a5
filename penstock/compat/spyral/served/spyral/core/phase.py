"""Served by penstock. See penstock.compat.spyral."""

from penstock.compat.spyral.phase import *  # noqa: F403
from penstock.compat.spyral.schema import *  # noqa: F403
