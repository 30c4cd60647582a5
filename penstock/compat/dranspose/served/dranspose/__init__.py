"""Names that workers and reducers for dranspose import, served by penstock. See penstock.compat.dranspose."""

from penstock import __version__ as _penstock
from penstock.compat.serving import refuse_others

__version__ = f"0.2.0+penstock.{_penstock}"
__getattr__ = refuse_others(__name__)
