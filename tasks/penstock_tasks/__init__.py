"""The Prefect tasks of penstock: one adapter from stage to task, and a module a family that names its tasks."""

from penstock_tasks._adapter import Work, result_state, stage_task, summary, task_of

__all__ = ["Work", "result_state", "stage_task", "summary", "task_of"]
