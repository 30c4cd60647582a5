from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from penstock.compat.spyral import schema
from penstock.compat.spyral.schema import (
    CLUSTER_SCHEMA,
    ESTIMATE_SCHEMA,
    INTERP_SOLVER_SCHEMA,
    POINTCLOUD_SCHEMA,
    TRACE_SCHEMA,
    PhaseResult,
    ResultSchema,
)
from penstock.core.errors import ConfigError
from penstock.formats.spyral.tables import ESTIMATE_COLUMNS, FIT_COLUMNS

PEER = Path(__file__).parents[2] / ".peers" / "spyral" / "bin" / "python"


def test_schemas_name_the_columns_that_are_written() -> None:
    assert tuple(json.loads(ESTIMATE_SCHEMA)["estimation"]["data"]) == tuple(ESTIMATE_COLUMNS)
    assert tuple(json.loads(INTERP_SOLVER_SCHEMA)["interp_solver"]["data"]) == tuple(FIT_COLUMNS)


def test_schemas_are_equal_where_every_entry_is() -> None:
    other = json.loads(ESTIMATE_SCHEMA)
    other["estimation"]["data"]["polar"] = "int"

    assert ResultSchema(ESTIMATE_SCHEMA) == ResultSchema(json.dumps(json.loads(ESTIMATE_SCHEMA)))
    assert ResultSchema(ESTIMATE_SCHEMA) != ResultSchema(json.dumps(other))
    assert ResultSchema(ESTIMATE_SCHEMA) != ResultSchema(CLUSTER_SCHEMA)


def test_a_schema_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(CLUSTER_SCHEMA)

    assert ResultSchema(json_file=tmp_path / "schema.json") == ResultSchema(CLUSTER_SCHEMA)
    assert ResultSchema().artifacts == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": {"extension": ".h5"}}', "schema of a phase: artifact 'a' has no 'data' (found: extension)."),
        ('{"a": 3}', "schema of a phase: artifact 'a' has no 'extension' (found: int)."),
        ('{"a":\n ]', "schema of a phase: not JSON: Expecting value in line 2, column 2."),
    ],
    ids=["no data", "no object", "not JSON"],
)
def test_a_schema_with_errors_says_where(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        ResultSchema(text)


def test_results_of_two_runs_share_no_metadata() -> None:
    one, other = PhaseResult({}, True, 1), PhaseResult.invalid_result(2)

    one.metadata["x"] = 1

    assert (other.metadata, other.successful, other.run_number, other.artifacts) == ({}, False, 2, {})


@pytest.mark.slow
def test_schemas_are_those_of_spyral() -> None:
    if not PEER.exists():
        pytest.skip("needs Spyral in .peers/spyral: make peers")
    names = ["TRACE_SCHEMA", "POINTCLOUD_SCHEMA", "CLUSTER_SCHEMA", "ESTIMATE_SCHEMA", "INTERP_SOLVER_SCHEMA"]
    code = f"import json, spyral; print(json.dumps([json.loads(getattr(spyral, n)) for n in {names!r}]))"

    theirs = json.loads(subprocess.run([PEER, "-c", code], capture_output=True, text=True, check=True).stdout)

    ours = [TRACE_SCHEMA, POINTCLOUD_SCHEMA, CLUSTER_SCHEMA, ESTIMATE_SCHEMA, INTERP_SOLVER_SCHEMA]
    assert dict(zip(names, theirs, strict=True)) == {n: json.loads(s) for n, s in zip(names, ours, strict=True)}
    assert set(names) < set(schema.__all__)
