"""Served by penstock. See penstock.compat.dranspose."""
