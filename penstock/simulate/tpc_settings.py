"""Settings of simulated TPC runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from penstock.core.params import Params

__all__ = ["Gas", "Particle", "TpcSimulation"]

Particle = Literal["p", "d", "t", "3He", "4He"]
Gas = Literal["H2", "D2", "He"]


class TpcSimulation(Params):
    """What a simulated run holds: reactions, detector, electronics and auxiliary detectors."""

    seed: NonNegativeInt = 1
    """Seed of all randomness, together with the run and event numbers."""

    particles: tuple[Particle, ...] = Field(default=("p",), min_length=1, max_length=8)
    """Particles that leave the common vertex of each event."""

    ke_min_mev: PositiveFloat = 1.5
    """Least kinetic energy at the vertex."""
    ke_max_mev: PositiveFloat = 6.0
    """Greatest kinetic energy at the vertex."""
    polar_min_deg: float = Field(default=25.0, ge=0, le=180)
    """Least angle to the beam."""
    polar_max_deg: float = Field(default=80.0, ge=0, le=180)
    """Greatest angle to the beam."""
    back_to_back: bool = True
    """Every second particle leaves opposite, in azimuth, to the one before."""
    reaction: str = ""
    """A(b,c)D whose ejectile leaves the vertex; its energy and angle follow from the kinematics. Empty: energies and angles as above."""
    beam: Literal["first", "second"] = "first"
    """Which nucleus of A(b,c)D moves: the first (inverse kinematics) or the second."""
    beam_energy_mev: PositiveFloat = 160.0
    """Kinetic energy of the beam before the window of a chamber with `reaction`."""
    excitations_mev: tuple[NonNegativeFloat, ...] = Field(default=(0.0,), min_length=1)
    """Excitation energies of the residue, all equally likely."""
    theta_cm_min_deg: float = Field(default=0.0, ge=0, le=180)
    """Least angle of the ejectile in the centre of mass."""
    theta_cm_max_deg: float = Field(default=180.0, ge=0, le=180)
    """Greatest angle of the ejectile in the centre of mass; between the two it is isotropic."""
    window: str = "C10H8O4"
    """Formula of the entrance window."""
    window_thickness_ug_per_cm2: NonNegativeFloat = 0.0
    """Areal density of the entrance window."""

    vertex_z_min_mm: NonNegativeFloat = 150.0
    """Nearest vertex to the window."""
    vertex_z_max_mm: NonNegativeFloat = 600.0
    """Farthest vertex from the window."""
    vertex_sigma_mm: NonNegativeFloat = 2.0
    """Spread of the beam in x and in y."""

    gas: Gas = "H2"
    """Target and counting gas."""
    pressure_torr: PositiveFloat = 300.0
    """Its pressure, at 293 K."""
    magnetic_field_t: PositiveFloat = 2.85
    """Magnetic field along -z."""
    electric_field_v_per_m: PositiveFloat = 45000.0
    """Electric field along -z."""
    detector_length_mm: PositiveFloat = 1000.0
    """Distance of the window from the micromegas."""
    chamber_radius_mm: PositiveFloat = 292.0
    """A track ends at this distance from the axis."""
    step_mm: float = Field(default=1.0, ge=0.05, le=5)
    """Longest step along a track."""
    max_path_mm: float = Field(default=6000.0, gt=0, le=50000)
    """A track is followed no longer than this."""

    multiple_scattering: bool = False
    """Let the tracks scatter on the gas (Highland)."""
    energy_straggling: bool = False
    """Let the energy loss along the tracks fluctuate (Bohr)."""
    fano_factor: float = Field(default=0.2, gt=0, le=1)
    """Variance over mean of the number of electrons that a given energy sets free."""
    transverse_diffusion_mm_per_sqrt_m: NonNegativeFloat = 3.0
    """Spread of the electrons in x and in y after 1 m of drift."""
    longitudinal_diffusion_mm_per_sqrt_m: NonNegativeFloat = 3.0
    """Spread of the electrons in z after 1 m of drift."""
    beam_electrons_per_mm: NonNegativeFloat = 60.0
    """Ionisation by the beam, from the window to the vertex."""
    polya_theta: NonNegativeFloat = 1.0
    """Shape of the distribution of the gas gain; 0 for an exponential."""
    adc_per_electron: PositiveFloat = 5.0
    """Height of the pulse of one electron of mean gain."""

    micromegas_time_bucket: float = Field(default=10.0, ge=0, le=511)
    """Time of charge that is set free at the micromegas, in GET time buckets."""
    window_time_bucket: float = Field(default=560.0, gt=0, le=5000)
    """Time of charge that drifts all the way from the window."""
    get_frequency_mhz: PositiveFloat = 6.25
    """Write clock of the GET electronics."""
    shaping_ns: float = Field(default=1000.0, gt=0, le=5000)
    """Shaping time of the GET electronics."""
    noise_adc: NonNegativeFloat = 4.0
    """White noise of a channel."""
    common_noise_adc: NonNegativeFloat = 1.5
    """White noise that the channels of an AGET chip share."""
    pedestal_adc: float = Field(default=350.0, ge=0, le=4095)
    """Mean baseline of the channels."""
    pedestal_spread_adc: NonNegativeFloat = 40.0
    """Spread of their baselines."""
    wander_adc: NonNegativeFloat = 6.0
    """Greatest amplitude of the slow wander of a baseline."""
    readout_threshold_adc: NonNegativeFloat = 20.0
    """A pad is read out when its pulse is higher."""
    noise_pads: NonNegativeInt = Field(default=15, le=10240)
    """Pads of each event that fire without charge."""

    auxiliary: bool = True
    """Record ion chamber, mesh and coincidence register."""
    ic_amplitude_adc: PositiveFloat = 1100.0
    """Mean height of an ion-chamber pulse."""
    ic_amplitude_sigma_adc: NonNegativeFloat = 60.0
    """Spread of that height."""
    ic_pileup_probability: float = Field(default=0.05, ge=0, le=1)
    """Events with a second ion-chamber pulse after the one of the trigger."""
    ic_early_probability: float = Field(default=0.1, ge=0, le=1)
    """Events with an ion-chamber pulse of an earlier beam particle."""
    downscale_probability: float = Field(default=0.02, ge=0, le=1)
    """Events that the down-scaled ion chamber took, without a reaction."""
    scaler_records: NonNegativeInt = 10
    """Scaler records of a run."""

    @model_validator(mode="after")
    def _ranges_ascend(self) -> TpcSimulation:
        for low, high in (
            ("ke_min_mev", "ke_max_mev"),
            ("polar_min_deg", "polar_max_deg"),
            ("theta_cm_min_deg", "theta_cm_max_deg"),
            ("vertex_z_min_mm", "vertex_z_max_mm"),
            ("vertex_z_max_mm", "detector_length_mm"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)!r}) must not exceed {high} ({getattr(self, high)!r})")
        if self.window_time_bucket <= self.micromegas_time_bucket:
            raise ValueError(
                f"window_time_bucket ({self.window_time_bucket!r}) must be later than micromegas_time_bucket ({self.micromegas_time_bucket!r})"
            )
        if self.reaction and len(self.particles) > 1:
            raise ValueError(f"a reaction has one ejectile, but particles ({self.particles!r}) names {len(self.particles)}")
        return self
