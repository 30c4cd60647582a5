"""A worker that listens to ticks, and a reducer with a timer."""

from penstock.stream.parameters import FloatParameter


class Ticked:
    """Returns the numbers of its events since the last tick; nothing between ticks, the rest is lost with the worker."""

    def __init__(self):
        self.waiting = []

    @staticmethod
    def describe_parameters():
        return [FloatParameter(name="interval_s", default=0.5)]

    def get_tick_interval(self, parameters=None):
        return parameters["interval_s"].value

    def process_event(self, event, parameters, tick=False):
        self.waiting.append(event.event_number)
        if not tick:
            return None
        waiting, self.waiting = self.waiting, []
        return waiting


class EveryEvent:
    """Returns whether each event ticks."""

    def get_tick_interval(self):
        return 0.5

    def process_event(self, event, parameters, tick):
        return bool(tick)


class Timed:
    """Notes at each call of its timer how many results there are."""

    def __init__(self):
        self.results = 0
        self.publish = {"at_calls": [], "payloads": {}}
        self.finished = False

    def process_result(self, result, parameters=None):
        self.results += 1
        self.publish["payloads"][str(result.event_number)] = result.payload

    def timer(self, parameters):
        self.publish["at_calls"].append(self.results)
        return 0.5

    def finish(self):
        self.finished = True


class OldTimer(Timed):
    """Its timer takes nothing, as they did once."""

    def timer(self):
        return super().timer(None)


class WrongTimer(Timed):
    """Its timer returns no number."""

    def timer(self):
        return "soon"
