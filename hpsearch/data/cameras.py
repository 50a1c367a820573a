"""Cameras: from the photons that reach a pixel on average to the number that is read out, and back to an estimate.

The chain of an EMCCD follows Speiser, Mueller et al. (2021): photoelectrons are Poisson, the amplifying register makes
a gamma distribution of them, reading adds normal noise, and the converter rounds down.
"""

from abc import abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hpsearch.settings import Option

Floats = NDArray[np.float64]


class ReadOut(Option):
    """What both cameras have."""

    quantum_efficiency: float = Field(default=0.9, gt=0, le=1)
    """Photoelectrons per photon."""
    spurious: float = Field(default=0.002, ge=0)
    """Electrons per pixel and frame that no photon made."""
    read_noise: float = Field(ge=0)
    """Standard deviation of the noise of reading, in electrons."""
    electrons_per_count: float = Field(gt=0)
    """Electrons that raise the number read out by one."""
    baseline: float = Field(default=100.0, ge=0)
    """Counts without light."""

    @property
    @abstractmethod
    def amplification(self) -> float:
        """Electrons that are read for each photoelectron, on average."""

    @abstractmethod
    def amplify(self, electrons: Floats, generator: np.random.Generator) -> Floats:
        """Return the electrons that are read for these photoelectrons."""

    def expose(self, photons: Floats, generator: np.random.Generator) -> Floats:
        """Return the counts of pixels that so many photons reach on average."""
        expected = np.maximum(photons, 0.0) * self.quantum_efficiency + self.spurious
        electrons = self.amplify(generator.poisson(expected).astype(float), generator)
        electrons = electrons + self.read_noise * generator.standard_normal(electrons.shape)
        counts: Floats = np.maximum(np.floor(electrons / self.electrons_per_count) + self.baseline, 0.0)
        return counts

    def to_photons(self, counts: Floats) -> Floats:
        """Return the photons that so many counts stand for."""
        electrons = (counts - self.baseline) * self.electrons_per_count / self.amplification
        photons: Floats = (electrons - self.spurious) / self.quantum_efficiency
        return photons


class EMCCD(ReadOut):
    """An electron-multiplying CCD: hardly any read noise, at the price of twice the variance of the photons."""

    kind: Literal["emccd"] = "emccd"
    read_noise: float = Field(default=74.4, ge=0)
    electrons_per_count: float = Field(default=45.0, gt=0)
    gain: float = Field(default=300.0, ge=1)
    """Electrons that the register makes of one."""

    @property
    def amplification(self) -> float:
        """The gain of the register."""
        return self.gain

    def amplify(self, electrons: Floats, generator: np.random.Generator) -> Floats:
        """Return draws from a gamma distribution whose shape is the number of electrons; none stay none."""
        return generator.gamma(electrons, self.gain)


class SCMOS(ReadOut):
    """A scientific CMOS camera without a gain; all its pixels are alike here."""

    kind: Literal["scmos"] = "scmos"
    read_noise: float = Field(default=1.6, ge=0)
    electrons_per_count: float = Field(default=0.46, gt=0)

    @property
    def amplification(self) -> float:
        """One: what is read are the photoelectrons."""
        return 1.0

    def amplify(self, electrons: Floats, generator: np.random.Generator) -> Floats:  # noqa: ARG002 - no chance here
        """Return the photoelectrons as they are."""
        return electrons


Camera = EMCCD | SCMOS
