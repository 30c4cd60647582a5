from __future__ import annotations

import numpy as np

from penstock.tpc.triggers import count_triggers


def test_events_are_counted_by_what_took_them() -> None:
    register = np.array([1, 2, 1, 3, -1, 0, 1])

    assert count_triggers(register) == {
        "no register": 1,
        "none": 1,
        "mesh": 3,
        "ion-chamber down-scale": 1,
        "mesh and ion-chamber down-scale": 1,
    }


def test_unknown_values_are_counted_each_by_itself() -> None:
    assert count_triggers(np.array([17, 1, 65535, 17], np.int32)) == {"mesh": 1, "unknown 17": 2, "unknown 65535": 1}


def test_a_run_without_events_has_no_triggers() -> None:
    assert count_triggers(np.zeros(0, np.int32)) == {}
