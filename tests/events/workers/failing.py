"""Workers and reducers that raise, or return what cannot be sent."""

import threading

from penstock.stream.parameters import StrParameter


class Fails:
    """Raises on the events that its parameter names."""

    @staticmethod
    def describe_parameters():
        return [StrParameter(name="fails_on", default="3")]

    def process_event(self, event, parameters=None):
        if str(event.event_number) in parameters["fails_on"].value.split(","):
            raise ZeroDivisionError(f"no light in event {event.event_number}")
        return event.event_number


class FailsToBegin:
    """Raises in its constructor."""

    def __init__(self):
        raise RuntimeError("no detector")

    def process_event(self, event):
        return None


class FailsToEnd(Fails):
    """Raises after all events."""

    def process_event(self, event, parameters=None):
        return event.event_number

    def finish(self, parameters=None):
        raise OSError("no room")


class Locked:
    """Returns a lock, which cannot be pickled."""

    def process_event(self, event):
        return {"number": event.event_number, "lock": threading.Lock()}


class Function:
    """Returns a function without a name."""

    def process_event(self, event):
        return lambda: event.event_number


class NotDescribed:
    """Lists a parameter that is none."""

    @staticmethod
    def describe_parameters():
        return ["till_x"]

    def process_event(self, event):
        return None


class NoMethod:
    """Is no worker and no reducer."""


class Collects:
    """Keeps what it gets."""

    def __init__(self):
        self.publish = {}

    def process_result(self, result):
        self.publish[str(result.event_number)] = result.payload


class CollectsUntil(Collects):
    """Raises on the result of event 5."""

    def process_result(self, result):
        if result.event_number == 5:
            raise KeyError("x")
        super().process_result(result)


class CannotFinish(Collects):
    """Raises after all results."""

    def finish(self):
        raise OSError("no room")
