from __future__ import annotations

from penstock.execute._environment import environment, environment_of


def test_a_result_names_what_its_workers_computed_with() -> None:
    found = environment_of([{"device": "NVIDIA H200", "numerics": "b"}, {"device": "cpu", "numerics": "a", "image": "tpc:1"}])

    assert (found["device"], found["numerics"], found["image"]) == ("NVIDIA H200 | cpu", "a | b", "tpc:1 | unknown")
    assert found["python"] == environment()["python"]


def test_blocks_of_an_older_penstock_say_nothing() -> None:
    assert environment_of([{}]) == environment()
