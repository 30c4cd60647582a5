"""From tracks to the reaction: mesh, fits, kinematics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from penstock.core.params import Params

__all__ = [
    "FitParams",
    "KinematicsParams",
    "MeshParams",
    "PointErrorParams",
]


class MeshParams(Params):
    """Tracks of each particle through gas and fields, over a grid of kinetic energy and polar angle."""

    particles: tuple[str, ...] = Field(default=("1H",), min_length=1, max_length=8)
    """Nuclei whose tracks are computed, such as 1H, 2H, 4He."""

    gas: str = Field(default="H2", min_length=1)
    """Formula of the gas, or volume fractions of several: H2, iC4H10, He:0.9 CO2:0.1. A gas table in [assets] wins."""

    pressure_torr: PositiveFloat = 300.0
    """Pressure of the gas."""

    temperature_k: PositiveFloat = 293.0
    """Temperature of the gas."""

    magnetic_field_t: PositiveFloat = 2.85
    """Magnetic field along -z."""

    electric_field_v_per_m: NonNegativeFloat = 45000.0
    """Electric field along -z."""

    ke_min_mev: PositiveFloat = 0.3
    """Least kinetic energy of the grid."""

    ke_max_mev: PositiveFloat = 30.0
    """Greatest kinetic energy of the grid."""

    ke_bins: int = Field(default=185, ge=4, le=5000)
    """Energies of the grid, equally spaced in the logarithm."""

    polar_min_deg: float = Field(default=2.0, ge=0, le=180)
    """Least polar angle of the grid."""

    polar_max_deg: float = Field(default=178.0, ge=0, le=180)
    """Greatest polar angle of the grid."""

    polar_bins: int = Field(default=89, ge=4, le=5000)
    """Polar angles of the grid, equally spaced."""

    path_max_mm: float = Field(default=6000.0, gt=0)
    """A track is followed no longer than this; those with a range beyond 0.6 of it are cut."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> MeshParams:
        for low, high in (("ke_min_mev", "ke_max_mev"), ("polar_min_deg", "polar_max_deg")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)!r}) must be less than {high} ({getattr(self, high)!r})")
        return self


class PointErrorParams(Params):
    """How well the points of a track are known, and what the track itself does at random."""

    transverse_diffusion_mm_per_sqrt_m: NonNegativeFloat = 3.0
    """Spread of the electrons in x and in y after 1 m of drift."""

    longitudinal_diffusion_mm_per_sqrt_m: NonNegativeFloat = 3.0
    """Spread of the electrons in z after 1 m of drift."""

    time_error_buckets: PositiveFloat = 0.5
    """Error of the time of a pulse of ten electrons, in GET time buckets; it falls as their number rises."""

    shaping_buckets: NonNegativeFloat = 6.25
    """Shaping time of the electronics in GET time buckets: the wider a pulse, the later its peak. 0 to correct nothing."""

    electron_energy_ev: PositiveFloat = 36.5
    """Energy that sets one electron free in the gas."""

    scattering: bool = True
    """Let the track scatter on the gas (Highland); turn it off for simulated tracks that do not."""

    straggling: bool = True
    """Let the energy loss fluctuate (Bohr); turn it off for simulated tracks that do not."""


class FitParams(Params):
    """How the track of a particle in the mesh is fitted to the points of a cluster."""

    method: Literal["lbfgsb", "leastsq"] = "leastsq"
    """leastsq: points far from the track do not count. lbfgsb: a robust loss, by which they pull less and less."""

    ic_min_adc: float = 900.0
    """Ion-chamber pulses must be higher; less than -1 for events without ion chamber ..."""

    ic_max_adc: float = 1350.0
    """... and lower than this."""

    ic_multiplicity: PositiveInt = 1
    """Greatest number of ion-chamber pulses after the delay."""

    fit_vertex_xy: bool = True
    """Fit the place of the vertex in the pad plane; else it stays at that of the estimate."""

    fit_azimuthal: bool = True
    """Fit the azimuthal angle; else it stays at that of the estimate."""

    beam_region_radius_mm: PositiveFloat = 25.0
    """Greatest distance of the vertex from the axis."""

    beam_spread_mm: PositiveFloat = 2.0
    """Spread of the beam in x and in y about the axis; it alone tells where along the track the vertex lies."""

    beam_pad_radius_mm: NonNegativeFloat = 20.0
    """Pads nearer to the axis give no point, as in tpc.points."""

    detector_length_mm: PositiveFloat = 1000.0
    """Distance of the window from the micromegas."""

    micromegas_time_bucket: float = 10.0
    """Time of charge that is set free at the micromegas, in GET time buckets."""

    window_time_bucket: float = 560.0
    """Time of charge that drifts all the way from the window, in GET time buckets."""

    gas: str = Field(default="H2", min_length=1)
    """Formula of the gas, as in tpc.mesh: tracks scatter on it. A gas table in [assets] wins."""

    pressure_torr: PositiveFloat = 300.0
    """Pressure of the gas."""

    temperature_k: PositiveFloat = 293.0
    """Temperature of the gas."""

    max_iterations: PositiveInt = 50
    """A fit that needs more is flagged as not converged."""

    errors: PointErrorParams = PointErrorParams()
    """Errors of the points."""

    @model_validator(mode="after")
    def _drift_takes_time(self) -> FitParams:
        if self.window_time_bucket <= self.micromegas_time_bucket:
            raise ValueError(
                f"window_time_bucket ({self.window_time_bucket!r}) must be later than micromegas_time_bucket ({self.micromegas_time_bucket!r})"
            )
        return self


class KinematicsParams(Params):
    """The reaction whose residual nucleus is reconstructed from the fitted ejectile."""

    reaction: str = "16O(d,p)17O"
    """A(b,c)D; the residual nucleus D may be left out. In inverse kinematics the first nucleus is the beam."""

    beam: Literal["first", "second"] = "first"
    """Which nucleus of A(b,c)D moves: the first (inverse kinematics) or the second."""

    beam_energy_mev: PositiveFloat = 100.0
    """Kinetic energy of the beam before the window."""

    window: str = "C10H8O4"
    """Formula of the entrance window; empty for none."""

    window_thickness_ug_per_cm2: NonNegativeFloat = 0.0
    """Areal density of the entrance window."""

    gas: str = Field(default="H2", min_length=1)
    """Formula of the gas, as in tpc.mesh."""

    pressure_torr: PositiveFloat = 300.0
    """Pressure of the gas."""

    temperature_k: PositiveFloat = 293.0
    """Temperature of the gas."""

    electric_field_v_per_m: NonNegativeFloat = 45000.0
    """Electric field along -z, which slows the beam; 0 to leave it out."""
