"""Ready reductions over the events of a run or of a live stream: a module each, in the form of `penstock.events.reductions.base.Reduction`."""
