"""What things are: run, subject, parameters, key, stage, plan, errors. Pure; no I/O."""
