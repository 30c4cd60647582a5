"""Runs of the AT-TPC straight from the data acquisition: frames of the GET electronics and items of the FRIB crate.

The reader is `penstock.formats.get.run.GetRun`; this file imports nothing, so that planning stays light.
"""
