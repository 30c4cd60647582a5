"""A toy instrument and its stages, outside penstock, as a plug-in author writes them; its raw data can misbehave."""
