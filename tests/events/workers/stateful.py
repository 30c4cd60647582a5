"""A worker whose results depend on the events that it had before, and a reducer for which their order matters."""

import hashlib

from penstock.stream.stins import StinsImage, parse


class Running:
    """Keeps a running mean over the events that it got, whichever those are."""

    def __init__(self, state=None, context=None):
        self.name = state.name
        self.total = 0.0
        self.events = 0

    def process_event(self, event):
        acquired = parse(event.streams["xrd"])
        if not isinstance(acquired, StinsImage):
            return None
        self.events += 1
        self.total += float(acquired.data.mean())
        return self.name, self.events, self.total / self.events


class Chained:
    """A digest over all results, in the order in which they came."""

    def __init__(self):
        self.digest = hashlib.sha256()
        self.publish = {"digest": "", "order": []}

    def process_result(self, result):
        self.digest.update(repr((result.event_number, result.worker, result.payload)).encode())
        self.publish["digest"] = self.digest.hexdigest()
        self.publish["order"].append(result.event_number)
