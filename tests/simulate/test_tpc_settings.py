from __future__ import annotations

import pytest
from pydantic import ValidationError

from penstock.simulate.tpc_settings import TpcSimulation


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"ke_min_mev": 7.0}, "ke_min_mev (7.0) must not exceed ke_max_mev (6.0)"),
        ({"polar_max_deg": 20.0}, "polar_min_deg (25.0) must not exceed polar_max_deg (20.0)"),
        ({"vertex_z_max_mm": 1200.0}, "vertex_z_max_mm (1200.0) must not exceed detector_length_mm (1000.0)"),
        ({"window_time_bucket": 10.0}, "window_time_bucket (10.0) must be later than micromegas_time_bucket (10.0)"),
    ],
    ids=["energy", "angle", "vertex", "drift time"],
)
def test_ranges_that_descend_are_refused(values: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TpcSimulation.model_validate(values)

    assert complaint in str(caught.value)


def test_every_setting_is_described() -> None:
    assert [name for name, info in TpcSimulation.model_fields.items() if not info.description] == []
