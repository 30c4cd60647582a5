"""One folder an instrument: binds reader, geometry and presets."""
