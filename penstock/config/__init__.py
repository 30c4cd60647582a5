"""experiment.toml, presets, precedence, the registry of stages and plug-ins, and the lock of their code."""

from penstock.config._columns import RunColumn
from penstock.config._counting import evaluate_counting
from penstock.config._experiment import Experiment, Resources, explain_validation, find_experiment, load_experiment, make_experiment, nested
from penstock.config._fingerprint import fingerprint, is_release
from penstock.config._lock import LockedStage, read_lock, stage_code, write_lock
from penstock.config._registry import PluginProblem, PluginSource, Registry, load_registry
from penstock.config._resolve import Resolver, parse_overrides
from penstock.config._resources import GPU_LANE, SLURM
from penstock.config._run_tables import write_run_table

__all__ = [
    "GPU_LANE",
    "SLURM",
    "Experiment",
    "LockedStage",
    "PluginProblem",
    "PluginSource",
    "Registry",
    "Resolver",
    "Resources",
    "RunColumn",
    "evaluate_counting",
    "explain_validation",
    "find_experiment",
    "fingerprint",
    "is_release",
    "load_experiment",
    "load_registry",
    "make_experiment",
    "nested",
    "parse_overrides",
    "read_lock",
    "stage_code",
    "write_lock",
    "write_run_table",
]
