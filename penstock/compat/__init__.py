"""Interfaces of other programs, served by penstock: a way in for scripts that were written for them."""
