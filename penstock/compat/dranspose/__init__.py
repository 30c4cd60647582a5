"""Names that workers and reducers written for dranspose import, served by penstock, so that they run without a change.

`install` makes ``import dranspose`` find them, where dranspose is not installed or where that is asked for; nothing in
penstock is called ``dranspose`` on the import path without it. ``penstock replay`` and the stage ``events.mapreduce``
call it before they import a user's classes (entry point ``penstock.imports``). No code of dranspose is in here.
"""

from __future__ import annotations

from penstock.compat.dranspose.serving import install

__all__ = ["install"]
