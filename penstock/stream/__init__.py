"""How data of detectors arrive and are put together: events, wire protocols, trigger maps, parameters."""
