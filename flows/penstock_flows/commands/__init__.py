"""Commands of penstock that need Prefect; each is an entry point of the group `penstock.commands`."""
