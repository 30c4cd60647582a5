"""The mean of a region, in each of the ways in which workers are written; the reducer keeps the means by event."""

from pathlib import Path

import h5py
import numpy as np

from penstock.stream.parameters import IntParameter
from penstock.stream.stins import StinsImage, StinsStart, parse


def region_mean(event, parameters):
    """What all the workers here return: the file name of the start message, or the mean of the region."""
    acquired = parse(event.streams["xrd"])
    if isinstance(acquired, StinsStart):
        return {"filename": acquired.filename}
    if isinstance(acquired, StinsImage):
        return {"mean": float(acquired.data[: parameters["till_x"].value, parameters["from_y"].value :].mean())}
    return None


class Described:
    """What the workers here take from outside."""

    @staticmethod
    def describe_parameters():
        return [IntParameter(name="till_x", default=2), IntParameter(name="from_y", default=8)]


class Named(Described):
    """Takes parameters by name."""

    def __init__(self, *args, **kwargs):
        self.given = sorted(kwargs)

    def process_event(self, event, parameters=None):
        return region_mean(event, parameters)


class Ticking(Described):
    """Takes parameters and tick by place."""

    def __init__(self, parameters, context, state):
        self.context = context
        self.name = state.name

    def process_event(self, event, parameters, tick):
        self.context["ticks"] = self.context.get("ticks", 0) + tick
        return region_mean(event, parameters)


class Spread(Described):
    """Takes parameters by name only, and whatever else there is."""

    def __init__(self, **kwargs):
        self.parameters = kwargs["parameters"]

    def process_event(self, event, *args, parameters=None, **kwargs):
        return region_mean(event, parameters)


class Bare(Described):
    """Takes the event and nothing else, so it has the parameters of its beginning."""

    def __init__(self, parameters=None):
        self.parameters = parameters

    def process_event(self, event):
        return region_mean(event, self.parameters)


class Plain:
    """Has no constructor, and parameters of its own."""

    def process_event(self, event):
        acquired = parse(event.streams["xrd"])
        return {"mean": float(acquired.data[:2, 8:].mean())} if isinstance(acquired, StinsImage) else None


class Means:
    """Means by event number; the file beside that of the raw data gets them in the end."""

    def __init__(self):
        self.means = {}
        self.filename = None

    def process_result(self, result, parameters=None):
        if "filename" in result.payload:
            self.filename = self.filename or result.payload["filename"]
        else:
            self.means[result.event_number] = result.payload["mean"]

    def finish(self, parameters=None):
        if not self.filename:
            return
        path = Path(self.filename).with_name(f"{Path(self.filename).stem}_processed.h5")
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["reduced"] = np.array([self.means.get(i, 0.0) for i in range(max(self.means) + 1)], np.float32)
            for name in ("till_x", "from_y"):
                if name in (parameters or {}):
                    file[name] = parameters[name].value
