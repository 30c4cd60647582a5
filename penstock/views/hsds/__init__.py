"""What a reducer publishes, over HTTP: the reading part of HSDS that h5pyd, silx and h5web use, and the parameters.

The tree itself, without HTTP, is `penstock.formats.published`.
"""

from penstock.formats.published import FixedTree, Published, Publisher
from penstock.views.hsds.api import ParameterStore
from penstock.views.hsds.server import PublishServer

__all__ = ["FixedTree", "ParameterStore", "PublishServer", "Published", "Publisher"]
