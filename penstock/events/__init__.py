"""The family of event streams: map and reduce over every event, and reductions that are ready to use."""
