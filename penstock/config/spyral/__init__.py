"""What users of Spyral bring along: configurations and scripts of all its generations, read into an experiment.toml."""
