"""Stages of a group of its own, for the TPC pipeline of penstock: declared in `stages`, one module a body."""
