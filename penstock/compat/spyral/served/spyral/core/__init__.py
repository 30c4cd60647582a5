"""Served by penstock. See penstock.compat.spyral."""
