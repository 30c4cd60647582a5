"""Results of some megabytes each."""

import numpy as np

from penstock.stream.parameters import IntParameter


class Big:
    """Returns an array of so many MB, filled with the number of the event."""

    @staticmethod
    def describe_parameters():
        return [IntParameter(name="megabytes", default=8)]

    def process_event(self, event, parameters=None):
        return np.full(parameters["megabytes"].value << 17, event.event_number, np.int64)


class Sums:
    """Adds up the first value of each result, and counts its bytes."""

    def __init__(self):
        self.publish = {"sum": 0, "bytes": 0}

    def process_result(self, result):
        self.publish["sum"] += int(result.payload[0])
        self.publish["bytes"] += result.payload.nbytes
