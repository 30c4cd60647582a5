"""Small workers and reducers, as users write them: ``workers.MODULE:CLASS`` with the folder above as the current one."""
