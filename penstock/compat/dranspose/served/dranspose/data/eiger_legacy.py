"""Served by penstock. See penstock.compat.dranspose."""

from penstock.compat.dranspose.eiger_legacy import *  # noqa: F403
from penstock.compat.serving import refuse_others

__getattr__ = refuse_others(__name__)
