"""Simulated SIS3300 traces: ion chamber on channel 0, mesh on channel 1, and the scalers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.simulate.tpc_settings import TpcSimulation

__all__ = ["IonChamberTruth", "scaler_words", "simulate_auxiliary"]

N_FRIB_SAMPLES = 2048
N_FRIB_CHANNELS = 8
DELAY_SAMPLES = 1100
PEDESTAL_ADC = 400.0
PEDESTAL_SPREAD_ADC = 20.0
NOISE_ADC = 4.0
IC_RISE_SAMPLES, IC_FALL_SAMPLES = 8.0, 17.5
MESH_ADC = 600.0
MESH_RISE_SAMPLES, MESH_FALL_SAMPLES = 20.0, 119.0
MESH_LAG_SAMPLES = 10.0


@dataclass(frozen=True, slots=True)
class IonChamberTruth:
    """The pulse of the triggering beam particle (ADC counts, samples) and the number of pulses after the delay."""

    amplitude: float
    centroid: float
    multiplicity: int


def simulate_auxiliary(settings: TpcSimulation, rng: np.random.Generator, *, reaction: bool) -> tuple[NDArray[np.uint16], IonChamberTruth]:
    """Traces of the auxiliary detectors of one event, 2048 samples at 12.5 MHz.

    Parameters
    ----------
    settings
        Heights and probabilities.
    rng
        Source of randomness.
    reaction
        Whether the event has a reaction, and so a pulse on the mesh.

    Returns
    -------
    samples
        uint16 (2048, 8), one column a channel.
    truth
        The ion chamber's pulses.
    """
    centroid = rng.uniform(1200, 1260)
    heights = np.maximum(rng.normal(settings.ic_amplitude_adc, settings.ic_amplitude_sigma_adc, size=3), 0.1 * settings.ic_amplitude_adc)
    pileup = rng.random() < settings.ic_pileup_probability
    early = rng.random() < settings.ic_early_probability
    later_time, early_time = centroid + rng.uniform(80, 600), rng.uniform(100, DELAY_SAMPLES - 100)
    mesh_time = centroid + rng.normal(MESH_LAG_SAMPLES, 12.0)
    baseline = rng.normal(PEDESTAL_ADC, PEDESTAL_SPREAD_ADC, size=N_FRIB_CHANNELS)
    traces = baseline + NOISE_ADC * rng.standard_normal((N_FRIB_SAMPLES, N_FRIB_CHANNELS))
    traces[:, 0] += heights[0] * _pulse(centroid, IC_RISE_SAMPLES, IC_FALL_SAMPLES)
    if pileup:
        traces[:, 0] += heights[1] * _pulse(later_time, IC_RISE_SAMPLES, IC_FALL_SAMPLES)
    if early:
        traces[:, 0] += heights[2] * _pulse(early_time, IC_RISE_SAMPLES, IC_FALL_SAMPLES)
    if reaction:
        traces[:, 1] += MESH_ADC * _pulse(mesh_time, MESH_RISE_SAMPLES, MESH_FALL_SAMPLES)
    samples = np.clip(np.rint(traces), 0, 4095).astype(np.uint16)
    return samples, IonChamberTruth(float(heights[0]), float(centroid), 1 + int(pileup))


def scaler_words(settings: TpcSimulation, run: int, record: int) -> NDArray[np.uint32]:
    """Words of one scaler record of two seconds: clock, live clock, free and live triggers, then counters."""
    rng = np.random.default_rng([settings.seed, run, record, 1])
    ion_chamber = 20000 + int(rng.integers(0, 500))
    words = [2_000_000, 1_800_000, 120, 108, ion_chamber, 300, 10, 10, 0, 20, 20_000, 0, 0, 0, 0, 0]
    return np.array(words, dtype=np.uint32)


def _pulse(centre: float, rise: float, fall: float) -> NDArray[np.float64]:
    """A bell with different widths before and after its maximum, of height 1."""
    distance = np.arange(N_FRIB_SAMPLES) - centre
    width = np.where(distance < 0, rise, fall)
    return np.asarray(np.exp(-0.5 * (distance / width) ** 2))
