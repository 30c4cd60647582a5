"""One simulated event: reaction, ionisation, drift, traces, and the truth behind them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from penstock.simulate import tpc_electronics as electronics
from penstock.simulate.tpc_auxiliary import IonChamberTruth, simulate_auxiliary
from penstock.simulate.tpc_ions import GASES, IONS, density_g_per_cm3, rigidity_tm, stopping_table
from penstock.simulate.tpc_reaction import Emission, draw_emission
from penstock.simulate.tpc_settings import Gas, Particle, TpcSimulation
from penstock.simulate.tpc_transport import ENDS, follow_random_tracks, follow_tracks, most_steps
from penstock.tpc.pads import N_PADS, lattice_pads

__all__ = ["ReactionTruth", "SimulatedEvent", "TrackTruth", "simulate_event"]

TICKS_PER_EVENT = 2_500_000
"""Mean distance of two events on the 100 MHz clock."""
BUCKETS_BEFORE = 32
BEAM = -1


class TrackTruth(TypedDict):
    """What really happened: one row a track. Lengths in mm, energy in MeV, angles in rad, rigidity in T·m."""

    event: int
    track: int
    particle: str
    Z: int
    A: int
    ke: float
    polar: float
    azimuthal: float
    brho: float
    vertex_x: float
    vertex_y: float
    vertex_z: float
    path_mm: float
    end: str
    n_pads: int
    trigger: int
    ic_amplitude: float
    ic_centroid: float
    ic_multiplicity: int


class ReactionTruth(TrackTruth):
    """The same with the reaction that made the track: excitation energy of the residue, angle in the centre of mass, beam energy."""

    ex: float
    theta_cm: float
    beam_ke: float


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedEvent:
    """Raw data of an event and its truth.

    ``hardware`` int16 (pads, 4): CoBo, AsAd, AGET, channel; ``pads`` int16 (pads,); ``samples`` int16 (pads, 512);
    ``frib`` uint16 (2048, 8) or None without auxiliary detectors; `register` 1 mesh, 2 ion-chamber down-scale;
    ``timestamp`` in ticks of 10 ns.
    """

    event: int
    timestamp: int
    hardware: NDArray[np.int16]
    pads: NDArray[np.int16]
    samples: NDArray[np.int16]
    frib: NDArray[np.uint16] | None
    register: int
    truth: tuple[TrackTruth, ...]

    def trace_matrix(self) -> NDArray[np.int16]:
        """The GET matrix of the run files: int16 (pads, 517), hardware ids, pad, samples."""
        return np.hstack([self.hardware, self.pads[:, None], self.samples])


@dataclass(frozen=True, slots=True, eq=False)
class _Reaction:
    """Start values of the tracks: (tracks, 7) x, y, z, direction, kinetic energy; angles in rad."""

    start: NDArray[np.float64]
    polar: NDArray[np.float64]
    azimuthal: NDArray[np.float64]
    emission: Emission | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Electrons:
    """Electrons where they were set free: (n, 3) mm, and the track of each, `BEAM` for the beam's."""

    places: NDArray[np.float32]
    tracks: NDArray[np.int64]


def simulate_event(settings: TpcSimulation, run: int, event: int) -> SimulatedEvent:
    """Simulate one event; it depends on settings, run and event number alone.

    Parameters
    ----------
    settings
        Reactions, detector and electronics.
    run, event
        Run and event number.
    """
    rng = np.random.default_rng([settings.seed, run, event, 0])
    reaction = _draw_reaction(settings, rng)
    downscale = bool(rng.random() < settings.downscale_probability) and settings.auxiliary
    frib, ion_chamber = simulate_auxiliary(settings, rng, reaction=not downscale)
    if not settings.auxiliary:
        ion_chamber = IonChamberTruth(-1.0, -1.0, -1)
    points, n_points, ends = _follow(settings, reaction, (run, event))
    tracks = [points[i, : n_points[i]] for i in range(len(settings.particles))]
    electrons = _ionise(settings, reaction, [] if downscale else tracks, rng)
    pads, pulses, track_pads = _collect(settings, electrons, rng)
    pads, pulses = _add_noise_pads(settings, pads, pulses, rng)
    hardware = electronics.hardware_ids(pads)
    register = 2 if downscale else 1
    truth = tuple(
        _truth(event, i, settings, reaction, (tracks[i][-1, 4], ENDS[ends[i]], track_pads[i]), (register, ion_chamber))
        for i in range(len(settings.particles))
    )
    return SimulatedEvent(
        event=event,
        timestamp=(event + 1) * TICKS_PER_EVENT + int(rng.integers(0, TICKS_PER_EVENT)),
        hardware=hardware,
        pads=pads.astype(np.int16),
        samples=_digitise(settings, pulses, hardware, rng),
        frib=frib if settings.auxiliary else None,
        register=register,
        truth=truth,
    )


def _draw_reaction(settings: TpcSimulation, rng: np.random.Generator) -> _Reaction:
    n = len(settings.particles)
    vertex = np.append(rng.normal(0, settings.vertex_sigma_mm, size=2), rng.uniform(settings.vertex_z_min_mm, settings.vertex_z_max_mm))
    ke = rng.uniform(settings.ke_min_mev, settings.ke_max_mev, size=n)
    polar = np.deg2rad(rng.uniform(settings.polar_min_deg, settings.polar_max_deg, size=n))
    emission = draw_emission(settings, vertex[2], rng) if settings.reaction else None
    if emission is not None:
        ke, polar = np.array([emission.ke]), np.array([emission.polar])
    azimuthal = rng.uniform(0, 2 * np.pi, size=n)
    if settings.back_to_back:
        azimuthal[1::2] = (azimuthal[: n // 2 * 2 : 2] + np.pi) % (2 * np.pi)
    direction = np.stack([np.sin(polar) * np.cos(azimuthal), np.sin(polar) * np.sin(azimuthal), np.cos(polar)], axis=1)
    return _Reaction(np.hstack([np.tile(vertex, (n, 1)), direction, ke[:, None]]), polar, azimuthal, emission)


@cache
def _stopping(particles: tuple[Particle, ...], gas: Gas, pressure_torr: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy loss (tracks, energies) in MeV/mm and straggling (tracks,) in MeV²/mm."""
    tables = [stopping_table(particle, gas, pressure_torr) for particle in particles]
    return np.array([t.mev_per_mm for t in tables]), np.array([t.straggling_mev2_per_mm for t in tables])


def _follow(
    settings: TpcSimulation, reaction: _Reaction, event: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    ions = [IONS[particle] for particle in settings.particles]
    loss, straggling = _stopping(settings.particles, settings.gas, settings.pressure_torr)
    steps = (settings.step_mm, settings.max_path_mm)
    flight = (
        reaction.start,
        np.array([float(ion.charge) for ion in ions]),
        np.array([ion.mass_mev for ion in ions]),
        loss,
        (settings.magnetic_field_t, settings.electric_field_v_per_m),
        (settings.detector_length_mm, settings.chamber_radius_mm),
        steps,
    )
    if not (settings.multiple_scattering or settings.energy_straggling):
        return follow_tracks(*flight)
    rng = np.random.default_rng([settings.seed, *event, 2])
    deviates = rng.standard_normal((len(ions), most_steps(steps), 3))
    gas, density = GASES[settings.gas], density_g_per_cm3(settings.gas, settings.pressure_torr)
    radiation_length_mm = 10.0 * gas.radiation_length_g_per_cm2 / density if settings.multiple_scattering else np.inf
    return follow_random_tracks(*flight, deviates, radiation_length_mm, straggling * settings.energy_straggling)


def _ionise(settings: TpcSimulation, reaction: _Reaction, tracks: list[NDArray[np.float64]], rng: np.random.Generator) -> _Electrons:
    """Electrons of the beam and of the tracks: gamma distributed energy loss with Bohr's variance, Fano's electrons."""
    vertex = reaction.start[0, :3]
    beam_end = vertex[2] if tracks else settings.detector_length_mm
    n_beam = rng.poisson(settings.beam_electrons_per_mm * beam_end)
    beam = np.tile(vertex.astype(np.float32), (n_beam, 1))
    beam[:, 2] = rng.random(n_beam, dtype=np.float32) * np.float32(beam_end)
    places, labels = [beam], [np.full(n_beam, BEAM)]
    loss, straggling = _stopping(settings.particles, settings.gas, settings.pressure_torr)
    for i, track in enumerate(tracks):
        step = np.diff(track[:, 4])
        middle = 0.5 * (track[1:, 3] + track[:-1, 3])
        mean = step * np.interp(np.log10(np.maximum(middle, 1e-4)), np.linspace(-4, 3, loss.shape[1]), loss[i])
        mean = np.maximum(mean, 1e-9)
        variance = straggling[i] * step
        energy = rng.standard_gamma(mean**2 / variance) * variance / mean
        expected = energy * 1e6 / GASES[settings.gas].w_ev
        counts = np.maximum(np.rint(rng.normal(expected, np.sqrt(settings.fano_factor * expected))), 0).astype(np.int64)
        along = rng.random(counts.sum(), dtype=np.float32)[:, None]
        begin, move = track[:-1, :3].astype(np.float32), np.diff(track[:, :3], axis=0).astype(np.float32)
        places.append(np.repeat(begin, counts, axis=0) + along * np.repeat(move, counts, axis=0))
        labels.append(np.full(counts.sum(), i))
    return _Electrons(np.concatenate(places), np.concatenate(labels))


def _collect(
    settings: TpcSimulation, electrons: _Electrons, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32], list[int]]:
    """Pads read out, their pulses (pads, 512) without noise, and the number of them that each track reached."""
    length = np.float32(settings.detector_length_mm)
    root = np.sqrt(np.clip(length - electrons.places[:, 2], 0, None) / 1000)
    spread = np.float32(settings.transverse_diffusion_mm_per_sqrt_m), np.float32(settings.longitudinal_diffusion_mm_per_sqrt_m)
    moves = rng.standard_normal(electrons.places.shape, dtype=np.float32) * root[:, None]
    at = electrons.places + moves * np.array([spread[0], spread[0], spread[1]], dtype=np.float32)
    buckets_per_mm = (settings.window_time_bucket - settings.micromegas_time_bucket) / settings.detector_length_mm
    times = settings.micromegas_time_bucket + (length - at[:, 2]) * np.float32(buckets_per_mm)
    hits = electronics.find_pads(at[:, 0].copy(), at[:, 1].copy(), lattice_pads())
    bins = np.rint((times + BUCKETS_BEFORE) * electronics.BINS_PER_BUCKET).astype(np.int64)

    fired = np.flatnonzero(np.bincount(hits[hits >= 0], minlength=N_PADS))
    slot_of = np.full(N_PADS + 1, -1, dtype=np.int64)
    slot_of[fired] = np.arange(fired.size)
    slots = slot_of[hits]
    n_bins = (electronics.N_SAMPLES + 2 * BUCKETS_BEFORE) * electronics.BINS_PER_BUCKET
    slot, time, count = electronics.count_electrons(slots, bins, (fired.size, n_bins))
    shape = settings.polya_theta + 1
    charges = (settings.adc_per_electron / shape * rng.standard_gamma(count * shape)).astype(np.float32)
    response, first = electronics.shaper_response(settings.shaping_ns * 1e-3 * settings.get_frequency_mhz)
    pulses = electronics.shape_pulses(slot, time, charges, fired.size, response, first, -BUCKETS_BEFORE)
    kept = pulses.max(axis=1, initial=0) > settings.readout_threshold_adc
    reached = [
        int(np.count_nonzero(kept[np.unique(slots[(electrons.tracks == i) & (slots >= 0)])])) for i in range(len(settings.particles))
    ]
    return fired[kept], pulses[kept], reached


def _add_noise_pads(
    settings: TpcSimulation, pads: NDArray[np.int64], pulses: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The same with pads that fire without charge, all in random order, as mergers write them."""
    response, first = electronics.shaper_response(settings.shaping_ns * 1e-3 * settings.get_frequency_mhz)
    n = settings.noise_pads
    drawn = rng.choice(N_PADS, size=n, replace=False)
    heights = np.exp(rng.uniform(np.log(25), np.log(600), size=n)).astype(np.float32)
    bins = rng.integers(0, electronics.N_SAMPLES * electronics.BINS_PER_BUCKET, size=n)
    noise = electronics.shape_pulses(np.arange(n), bins, heights, n, response, first, 0)
    new = ~np.isin(drawn, pads)
    order = rng.permutation(pads.size + np.count_nonzero(new))
    return np.concatenate([pads, drawn[new]])[order], np.concatenate([pulses, noise[new]])[order]


def _digitise(
    settings: TpcSimulation, pulses: NDArray[np.float32], hardware: NDArray[np.int16], rng: np.random.Generator
) -> NDArray[np.int16]:
    n = pulses.shape[0]
    phase = 2 * np.pi * np.arange(electronics.N_SAMPLES, dtype=np.float32) / electronics.N_SAMPLES
    turns, start = rng.uniform(0.3, 1.5, size=(n, 1)).astype(np.float32), rng.uniform(0, 2 * np.pi, size=(n, 1)).astype(np.float32)
    height = rng.uniform(0.6, 1.0, size=(n, 1)).astype(np.float32) * np.float32(settings.wander_adc)
    pedestal = rng.normal(settings.pedestal_adc, settings.pedestal_spread_adc, size=(n, 1)).astype(np.float32)
    noise = rng.standard_normal(pulses.shape, dtype=np.float32) * np.float32(settings.noise_adc)
    chip, row = np.unique(hardware[:, 0] * 16 + hardware[:, 1] * 4 + hardware[:, 2], return_inverse=True)
    common = rng.standard_normal((chip.size, electronics.N_SAMPLES), dtype=np.float32) * np.float32(settings.common_noise_adc)
    glitches = rng.normal((-60.0, 40.0), 20.0, size=(n, 2)).astype(np.float32)
    return electronics.digitise(pulses, pedestal + height * np.sin(turns * phase + start), noise, common, row, glitches)


def _truth(
    event: int,
    track: int,
    settings: TpcSimulation,
    reaction: _Reaction,
    flight: tuple[float, str, int],
    trigger: tuple[int, IonChamberTruth],
) -> TrackTruth:
    ion = IONS[settings.particles[track]]
    x, y, z, _, _, _, ke = (float(v) for v in reaction.start[track])
    truth = TrackTruth(
        event=event,
        track=track,
        particle=settings.particles[track],
        Z=ion.charge,
        A=ion.mass_number,
        ke=ke,
        polar=float(reaction.polar[track]),
        azimuthal=float(reaction.azimuthal[track]),
        brho=rigidity_tm(ion, ke),
        vertex_x=x,
        vertex_y=y,
        vertex_z=z,
        path_mm=float(flight[0]),
        end=flight[1],
        n_pads=flight[2],
        trigger=trigger[0],
        ic_amplitude=trigger[1].amplitude,
        ic_centroid=trigger[1].centroid,
        ic_multiplicity=trigger[1].multiplicity,
    )
    if reaction.emission is None:
        return truth
    return ReactionTruth(**truth, ex=reaction.emission.ex, theta_cm=reaction.emission.theta_cm, beam_ke=reaction.emission.beam_ke)
