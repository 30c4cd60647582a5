"""The AT-TPC of FRIB with the files of its data acquisition: GRAW frames and FRIBDAQ items, without a merger in between."""

from penstock.core.instrument import Instrument
from penstock.instruments.attpc import INSTRUMENT as ATTPC
from penstock.tpc.assets import Electronics
from penstock.tpc.schemas import Traces

__all__ = ["INSTRUMENT"]

INSTRUMENT = Instrument(
    name="attpc-get",
    title="Active Target Time Projection Chamber, files of the data acquisition (.graw, .evt)",
    raw=Traces,
    reader="penstock.formats.get.run:GetRun",
    files={"graw": "run_{run:04d}/**/CoBo*.graw", "evt": "run-{run:04d}-*.evt"},
    finder="penstock.formats.get.folders:find_runs",
    pipeline=("tpc.readout", "tpc.merge", *(name for name in ATTPC.pipeline if name not in ("tpc.readout", "tpc.merge"))),
    presets=ATTPC.presets,
    event_view=ATTPC.event_view,
    asset_makers={**ATTPC.asset_makers, Electronics.schema_id(): "penstock.tpc.electronics:required_electronics"},
    asset_roles={**ATTPC.asset_roles, "electronics": ("electronics",)},
    required={"electronics": "a CSV file with the columns cobo, asad, aget, channel, detector, number"},
)
