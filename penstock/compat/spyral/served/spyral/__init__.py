"""Names that scripts for Spyral import, served by penstock. See penstock.compat.spyral."""

from typing import Any

from penstock.compat.spyral.parameters import *  # noqa: F403
from penstock.compat.spyral.phase import *  # noqa: F403
from penstock.compat.spyral.pipeline import *  # noqa: F403
from penstock.compat.spyral.schema import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise ImportError(
        f"spyral.{name}: not served by penstock.compat.spyral. Install attpc_spyral, if you need its own code.", name="spyral"
    )
