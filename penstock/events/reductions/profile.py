"""The stage ``events.profile``: azimuthal integration of images, of all events together and of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from pathlib import Path

import numpy as np

from penstock.core.errors import ConfigError
from penstock.events.reduction_params import FieldSelection, ProfileParams
from penstock.events.reductions.base import Layout, Plot, Selected, State, States, Tree, Values, fold
from penstock.events.reductions.blocks import Blocks
from penstock.events.reductions.rows import add_row, column_of, join_rows, new_rows, pieces_of
from penstock.formats.poni import read_poni
from penstock.kernels.azimuthal import AzimuthalIntegrator

__all__ = ["RadialProfile", "blocks", "complete_params"]

_SPOKEN = {"two_theta": "2θ", "r": "radius"}
_SUMS = ("signal", "norm", "count", "variance")


class RadialProfile:
    """Integrates images and sums signals and norms, bin by bin.

    State: ``signal``, ``norm``, ``count``, ``variance`` (bins) float64, ``events`` (), and, where each event is kept, rows with ``position``,
    ``number`` and ``intensity`` (bins) float64.
    """

    def __init__(self, layout: Layout, integrator: AzimuthalIntegrator, limits: tuple[float, float] | None, *, each_event: bool) -> None:
        self.layout = layout
        self._integrator = integrator
        self._limited = limits
        self._each = each_event
        self._summing = RadialProfile(layout, integrator, limits, each_event=False) if each_event else self

    def zero(self) -> State:
        """No events."""
        shape = self._integrator.shape
        rows = new_rows(number=((), np.int64), intensity=(shape, np.float64)) if self._each else {}
        return {**{name: np.zeros(shape) for name in _SUMS}, "events": np.zeros((), np.int64), **rows}

    def add(self, state: State, event: Selected) -> State:
        """The state with one more event, in the same arrays."""
        image = event.values[0]
        profile = self._integrator.integrate(image, None if self._limited is None else self.layout.masked(image))
        state["signal"] += profile.signal
        state["norm"] += profile.norm
        state["count"] += profile.count
        state["variance"] += np.nan_to_num((profile.sigma * profile.norm) ** 2, nan=0.0)
        state["events"] += 1
        if self._each:
            add_row(state, position=event.position, number=event.number, intensity=profile.intensity)
        return state

    def merge(self, one: State, *others: State) -> State:
        """The events of all."""
        sums = {name: reduce(np.add, [state[name] for state in (one, *others)]) for name in (*_SUMS, "events")}
        return sums | join_rows((one, *others), "number", "intensity") if self._each else sums

    def finish(self, state: State) -> Tree:
        """Intensity with its standard error (Poisson) by the middles of the bins; NaN in bins without a valid pixel."""
        settled = self.merge(self.zero(), state)
        return self.finish_pieces(lambda: [settled])

    def finish_pieces(self, states: States) -> Tree:
        """The same of states that follow each other."""
        state = fold(self._summing, states())
        norm = state["norm"]
        filled = (state["count"] > 0) & (norm != 0)
        intensity = np.divide(state["signal"], norm, where=filled, out=np.full(len(norm), np.nan))
        errors = np.divide(np.sqrt(state["variance"]), norm, where=filled, out=np.full(len(norm), np.nan))
        name, unit = _radial_words(self._integrator.unit)
        axis = {name: Values(self._integrator.radial, unit, _SPOKEN.get(name, name))}
        datasets = {
            "intensity": Values(intensity, "", "intensity"),
            "intensity_errors": Values(errors, "", "standard error of the intensity (Poisson)"),
            "count": Values(state["count"].copy(), "", "valid pixels of all events"),
            "edges": Values(self._integrator.radial_edges, unit, "edges of the bins"),
            "events": Values(np.array(state["events"]), "", "events"),
        }
        tree = {"profile": Plot("radial profile of all events", "intensity", (name,), datasets | axis)}
        if self._each:
            rows = {
                "intensity": Values(pieces_of(states, "intensity"), "", "intensity"),
                "event": Values(column_of(states, "number"), "", "event number"),
            }
            tree["each_event"] = Plot("radial profile of each event", "intensity", ("event", name), rows | axis)
        return tree


def complete_params(params: ProfileParams, folder: Path, fingerprint: Callable[[Sequence[str]], str]) -> ProfileParams:
    """The parameters with the content of the PONI file in place of its name.

    Raises
    ------
    ConfigError
        None is named, or it cannot be read.
    """
    if not params.poni:
        if params.geometry:
            return params
        raise ConfigError("stage 'events.profile': parameter 'poni' is not set. Name a PONI file, relative to experiment.toml.")
    path = folder / params.poni
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"stage 'events.profile': PONI file {path} cannot be read ({error}).") from error
    return params.model_copy(update={"poni": "", "geometry": text})


@lru_cache(maxsize=4)
def _integrator(params: ProfileParams, shape: tuple[int, int], kind: str, top: int) -> AzimuthalIntegrator:
    image = params.image
    return AzimuthalIntegrator(
        read_poni(params.geometry.encode(), shape),
        params.bins,
        unit=params.radial,
        radial_range=params.radial_range,
        splitting=params.splitting,
        solid_angle=params.solid_angle,
        polarization=params.polarization,
        invalid=(float(top),) if image.mask_top and kind == "u" else (),
    )


def _radial_words(unit: str) -> tuple[str, str]:
    """Name and unit of a radial coordinate, ``q_nm^-1``: ``q`` and ``1/nm``."""
    name, _, unit = unit.partition("_")
    return {"2th": "two_theta"}.get(name, name), {"nm^-1": "1/nm", "A^-1": "1/angstrom"}.get(unit, unit)


def _selections(params: ProfileParams) -> tuple[FieldSelection, ...]:
    return (params.image,)


def _build(params: ProfileParams, layouts: tuple[Layout, ...], n_events: int) -> RadialProfile:
    layout, image = layouts[0], params.image
    if len(layout.shape) != 2:
        raise ConfigError(f"the selected values have shape {layout.shape}; azimuthal integration wants images of rows and columns.")
    top = int(np.iinfo(layout.dtype).max) if layout.dtype.kind == "u" else 0
    integrator = _integrator(params, (layout.shape[0], layout.shape[1]), layout.dtype.kind, top)
    limited = layout.limits if image.valid_min is not None or image.valid_max is not None else None
    return RadialProfile(layout, integrator, limited, each_event=params.each_event)


blocks = Blocks(_selections, _build)
