"""The Active Target Time Projection Chamber (AT-TPC) of FRIB, read out by GET electronics."""

from pathlib import Path

from penstock.core.instrument import Instrument
from penstock.tpc.assets import Electronics, FieldMap, GasTable, Gates, PadMap, StoppingTables
from penstock.tpc.schemas import Traces

__all__ = ["INSTRUMENT"]

INSTRUMENT = Instrument(
    name="attpc",
    title="Active Target Time Projection Chamber, GET electronics",
    raw=Traces,
    reader="penstock.formats.attpc:AttpcRun",
    files={"traces": "run_{run:04d}.h5"},
    pipeline=("tpc.points", "tpc.clusters", "tpc.estimates"),
    presets=Path(__file__).parent / "presets",
    asset_makers={
        PadMap.schema_id(): "penstock.tpc.pads:pad_map",
        Electronics.schema_id(): "penstock.tpc.electronics:electronics_map",
        FieldMap.schema_id(): "penstock.tpc.field:field_asset",
        GasTable.schema_id(): "penstock.tpc.gas:gas_asset",
        StoppingTables.schema_id(): "penstock.tpc.stopping:stopping_asset",
        Gates.schema_id(): "penstock.tpc.gates:gates_asset",
    },
    event_view="penstock.views.tpc_event:view_event",
    asset_roles={
        "pads": ("pad_xy", "pad_time", "pad_scale", "pad_gain"),
        "electronics": ("electronics",),
        "field": ("garfield",),
        "gas": ("gas",),
        "stopping": ("stopping",),
        "gates": ("gates",),
    },
)
