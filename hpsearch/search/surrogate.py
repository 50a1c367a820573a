"""A Gaussian process over configurations: its fit, its predictions, and what an evaluation promises to gain.

Written for some hundred observations, where a fit takes milliseconds. Lengths are in units of the ranges.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

Array = NDArray[np.float64]

_SQRT5 = math.sqrt(5.0)
_LENGTH_SD = 1.2
_NOISE_MEAN, _NOISE_SD = math.log(1e-3), 2.5
_LEAST_NOISE = 1e-6
_STEPS = 25
_FIRST_NOISE = math.log(0.1)
"""Where the fit begins: from little noise it would not come to the better of two explanations of noisy values."""


@dataclass(frozen=True)
class Kernel:
    """Matern 5/2 with a length for each parameter (Rasmussen and Williams 2006, equation 4.17), of variance 1.

    `weights` are the inverse squared lengths, one for each parameter; `noise` is the variance of an observation.
    """

    weights: Array
    noise: float

    def scaled(self, features: Array, owner: NDArray[np.intp]) -> Array:
        """Return the features, shape (n, columns), divided by the lengths of the parameters that own the columns."""
        return features * np.sqrt(self.weights)[owner]


def _matern(squared: Array) -> tuple[Array, Array]:
    """Return the kernel and its derivative by the squared distance."""
    distance = np.sqrt(5.0 * squared)
    decay = np.exp(-distance)
    return (1.0 + distance + distance * distance / 3.0) * decay, -(5.0 / 6.0) * (1.0 + distance) * decay


def _squared_distances(left: Array, right: Array) -> Array:
    cross = left @ right.T
    cross *= -2.0
    cross += np.einsum("ij,ij->i", left, left)[:, None]
    cross += np.einsum("ij,ij->i", right, right)[None, :]
    return np.maximum(cross, 0.0, out=cross)


def fit_kernel(features: Array, values: Array, owner: NDArray[np.intp], unsure: Array | float = 0.0) -> Kernel:
    """Return the kernel of the largest posterior density, given values of mean 0 and variance 1.

    The lengths have a log-normal prior that grows with the square root of the number of parameters, so that many
    parameters do not make every configuration a stranger to every other (Hvarfner et al. 2024).

    Args:
        features: Shape (observations, columns).
        values: Shape (observations,).
        owner: The number of the parameter that each column belongs to.
        unsure: Known variances of the values beside the noise, shape (observations,).

    """
    count = int(owner.max()) + 1
    parts = np.stack(
        [_squared_distances(features[:, owner == each], features[:, owner == each]) for each in range(count)]
    )
    flat = parts.reshape(count, -1)
    size = len(values)
    centre = math.log(0.5) + 0.5 * math.log(count)
    eye, known = np.eye(size), np.diag(np.broadcast_to(unsure, size))

    def loss(theta: Array) -> tuple[float, Array]:
        """Return the negative log posterior density (equation 5.8) and its gradient by log lengths and log noise."""
        lengths, noise = theta[:-1], theta[-1]
        weights = np.exp(-2.0 * lengths)
        covariance, slope = _matern((weights @ flat).reshape(size, size))
        variance = math.exp(noise) + _LEAST_NOISE
        try:
            factor = cho_factor(covariance + variance * eye + known, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        inverse = cho_solve(factor, eye, check_finite=False)
        alpha = inverse @ values
        gap = inverse - np.outer(alpha, alpha)
        found = 0.5 * values @ alpha + np.log(np.diag(factor[0])).sum()
        by_weights = 0.5 * (flat @ (gap * slope).ravel())
        gradient = np.append(by_weights * -2.0 * weights, 0.5 * np.trace(gap) * math.exp(noise))
        off = np.append((lengths - centre) / _LENGTH_SD, (noise - _NOISE_MEAN) / _NOISE_SD)
        gradient += off / np.append(np.full(count, _LENGTH_SD), _NOISE_SD)
        return float(found + 0.5 * off @ off), gradient

    start = np.append(np.full(count, centre), _FIRST_NOISE)
    bounds = [(math.log(0.01), math.log(50.0))] * count + [(math.log(1e-6), math.log(1.0))]
    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS})
    return Kernel(np.exp(-2.0 * found.x[:-1]), math.exp(found.x[-1]) + _LEAST_NOISE)


class Process:
    """A Gaussian process given observations: values of mean 0 and variance 1, some `unsure`; see `fit_kernel`."""

    def __init__(
        self,
        kernel: Kernel,
        features: Array,
        values: Array,
        owner: NDArray[np.intp],
        unsure: Array | float = 0.0,
    ) -> None:
        self._kernel, self._owner = kernel, owner
        self._points = kernel.scaled(features, owner)
        covariance = _matern(_squared_distances(self._points, self._points))[0]
        covariance[np.diag_indices_from(covariance)] += kernel.noise + unsure
        self._factor = np.linalg.cholesky(covariance)
        half = solve_triangular(self._factor, values, lower=True, check_finite=False)
        self._alpha = solve_triangular(self._factor.T, half, lower=False, check_finite=False)

    def mean(self, features: Array) -> Array:
        """Return the expected values, shape (configurations,)."""
        points = self._kernel.scaled(features, self._owner)
        return np.asarray(_matern(_squared_distances(points, self._points))[0] @ self._alpha)

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Return the means and standard deviations of the values without noise, two arrays (configurations,)."""
        points = self._kernel.scaled(features, self._owner)
        cross = _matern(_squared_distances(points, self._points))[0]
        half = solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        variance = np.maximum(1.0 - np.einsum("ij,ij->j", half, half), 1e-12)
        return cross @ self._alpha, np.sqrt(variance)


def log_expected_improvement(mean: Array, sd: Array, best: float) -> Array:
    """Return the logarithm of the expected gain below `best`, finite where the gain underflows (Ament et al. 2023)."""
    z = (best - mean) / sd
    usual = np.maximum(z, -1.0)
    near = np.log(np.exp(-0.5 * usual**2) / math.sqrt(2 * math.pi) + usual * np.exp(log_ndtr(usual)))
    far = np.minimum(z, -1.0)
    mills = np.maximum(1.0 + far * math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2.0)), 1e-300)
    tail = -0.5 * far**2 - 0.5 * math.log(2 * math.pi) + np.log(mills)
    return np.asarray(np.where(z > -1.0, near, tail) + np.log(sd))
