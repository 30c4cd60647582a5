"""How results are seen: figures of events and runs, tables of runs. Matplotlib and rich are loaded where they draw."""

from penstock.views.tables import Cell, RunTable, run_table

__all__ = ["Cell", "RunTable", "run_table"]
