"""Run files of the AT-TPC: every layout that its mergers have written, read block by block."""

from penstock.formats.attpc.run import AttpcRun

__all__ = ["AttpcRun"]
