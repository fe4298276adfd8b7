"""95 % intervals from one value a case; which formula serves which metric was chosen by bench/experiments_truth.py.

All functions take `cells` [rows, cases], one mean of repeats a case, nan where there is none, and work on all
rows at once. The case is the cluster: repeats of a case are alike, so only cases count as independent, and the
spread between case means holds both the cases' and the repeats' share of the uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from chatplay.experiments.stats.cells import Cells, divide
from chatplay.experiments.stats.table import FloatArray

LEAST_CASES = 3
FEW_CASES = 10
LEVEL = 0.95

_UPPER = 1 - (1 - LEVEL) / 2
_Z = float(ndtri(_UPPER))
_LEAST_LOG_CASES = 5  # with fewer, the factor exp(t ...) leaves every plausible range
_CV_BIAS = 5.0
_SKEW_PART = 0.5
_PSEUDO_CASES = 0.1


@dataclass(frozen=True, eq=False)
class Bounds:
    """Arrays [rows]: the mean over cases, the ends of its interval (nan: none) and how many cases it has."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    cases: FloatArray


@dataclass(frozen=True, eq=False)
class Differences:
    """Bounds of mean differences with their standard errors and two-sided p-values [rows]."""

    bounds: Bounds
    error: FloatArray
    p_value: FloatArray


def bound_means(cells: Cells) -> Bounds:
    """Every arm's mean of one metric with the interval that suits it."""
    if cells.bounded:
        return share_bounds(cells.mean, repeats=cells.repeats if cells.binary else None)
    return positive_bounds(cells.mean)


def t_bounds(cells: FloatArray) -> Bounds:
    """Student's t on the case means, cases - 1 degrees of freedom.

    Exact for normal case means; with equal cluster weights it is the cluster-robust (CR2) interval with
    Satterthwaite's degrees of freedom (Bell & McCaffrey 2002; Cameron & Miller 2015, J. Human Resources 50, 317).
    """
    cases, mean, variance = moments(cells)
    half = _quantile(cases) * np.sqrt(variance / cases)
    return _bounds(mean, mean - half, mean + half, cases)


def positive_bounds(cells: FloatArray) -> Bounds:
    """For times, rates, tokens and cost: t on the logarithm of the mean, corrected for skewness.

    The error of log(mean) is cv / sqrt(C) by the delta method. A skewed sample shows too small a coefficient of
    variation; its square is raised by 1 + k cv^2 / C (k = 3 is the leading term for log-normal values, k = 5
    proved best in the simulation since cv itself is an estimate). The upper end moves out by half the Edgeworth
    term of the studentised log mean, ((2 g - 3 cv) t^2 + g) / (6 sqrt C) with g the skewness (Hall 1992,
    J. R. Statist. Soc. B 54, 221, carried over to the log scale). Rows with a value <= 0, or with fewer than
    five cases, get `t_bounds`, cut at 0 where no value is below it.
    """
    plain = t_bounds(cells)
    none_below_0 = np.all(np.isnan(cells) | (cells >= 0), axis=1)
    plain = replace(plain, low=np.where(none_below_0, np.maximum(plain.low, 0.0), plain.low))
    with np.errstate(invalid="ignore"):
        usable = (np.nanmin(np.where(np.isnan(cells), np.inf, cells), axis=1) > 0) & (plain.cases >= _LEAST_LOG_CASES)
    if not usable.any():
        return plain
    cases, mean, variance = moments(cells[usable])
    cv = np.sqrt(variance) / mean
    skew = _skewness(cells[usable], mean)
    t = _quantile(cases)
    error = cv * np.sqrt((1 + _CV_BIAS * cv**2 / cases) / cases)
    shift = np.maximum(_SKEW_PART * ((2 * skew - 3 * cv) * t**2 + skew) / (6 * np.sqrt(cases)), 0)
    low, high = plain.low.copy(), plain.high.copy()
    low[usable], high[usable] = mean * np.exp(-error * t), mean * np.exp(error * (t + shift))
    return Bounds(mean=plain.mean, low=low, high=high, cases=plain.cases)


def share_bounds(cells: FloatArray, *, repeats: FloatArray | None = None) -> Bounds:
    """For scores within 0..1: Wilson's interval at the effective sample size m (1 - m) / var(mean).

    Wilson 1927 (JASA 22, 209) with the design effect of clusters as in Korn & Graubard 1998 (Survey Methodology
    24, 193). The quantile goes from normal (cells all-or-none: the variance follows from the mean) to t (the
    variance has to be estimated) as the effective size outgrows the number of cases. `repeats` [rows], given for
    pass/fail values, caps the effective size at the number of trials. A row whose cells are all alike counts
    each case once.
    """
    cases, mean, variance = moments(cells)
    spread = np.clip(mean * (1 - mean), 0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(variance > 0, spread * cases / variance, cases)
    if repeats is not None:
        size = np.minimum(size, cases * repeats)
    size = np.maximum(size, cases)  # a value within 0..1 varies at most like an all-or-none one
    size = np.where(cases > 0, size, np.nan)
    squared = _Z**2 + (_quantile(cases) ** 2 - _Z**2) * (1 - np.minimum(cases / size, 1))
    centre = (mean + squared / (2 * size)) / (1 + squared / size)
    half = np.sqrt(squared * (spread / size + squared / (4 * size**2))) / (1 + squared / size)
    return _bounds(mean, np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1), cases)


def bound_differences(
    differences: FloatArray, *, repeats: FloatArray, binary: bool, bounded: bool = False
) -> Differences:
    """Mean differences of paired cases [rows, cases]: Student's t, cases - 1 degrees of freedom.

    Pairing takes the cases' own variance out and leaves differences near to symmetric even for log-normal values,
    so plain t covers as promised where the bootstraps do not. Pass/fail values with one or two repeats
    give many differences of exactly 0, from which the spread looks too small: the variance then takes in 0.1
    pseudo-cases of each +1 and -1 (over the square root of `repeats` [rows]); the idea is Agresti & Min 2005
    (Statistics in Medicine 24, 729), the weight from the simulation. The difference itself is left as it is.
    Where all cases differ by the same amount there is no spread to go by: scores within 0..1 (`bounded`) then have the
    variance of these pseudo-cases alone, as if of one repeat; of other values error is 0 and p the smallest that
    turning signs can give, 2^(1 - cases).

    Of scores within 0..1 no true difference lies beyond -1..1, so the interval is cut there. What is cut off cannot
    hold the truth, so the cut interval holds it exactly as often as the whole one (a confidence set intersected with
    the parameter space: Mandelkern 2002, Statist. Sci. 17, 149). Error and p are those of the whole interval.
    """
    cases, mean, variance = moments(differences)
    if binary:
        pseudo = _PSEUDO_CASES
        variance = (variance * (cases - 1) + 2 * pseudo / repeats) / (cases - 1 + 2 * pseudo)
    elif bounded:
        variance = np.where(variance > 0, variance, 2 * _PSEUDO_CASES / (cases - 1 + 2 * _PSEUDO_CASES))
    error = np.sqrt(divide(variance, cases))
    half = _quantile(cases) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = 2 * stdtr(cases - 1, -np.abs(mean) / error)
    alike = np.exp2(1 - cases)
    p_value = np.where(error > 0, p_value, np.where(mean == 0, 1.0, alike))
    p_value = np.where(cases >= LEAST_CASES, p_value, np.nan)
    bounds = _bounds(mean, mean - half, mean + half, cases)
    if binary or bounded:
        bounds = cut(bounds, -1, 1)
    return Differences(bounds=bounds, error=error, p_value=p_value)


def cut(bounds: Bounds, low: float, high: float) -> Bounds:
    """Without what lies beyond the values that the truth can have."""
    return replace(bounds, low=np.clip(bounds.low, low, high), high=np.clip(bounds.high, low, high))


def adjust_holm(p_values: FloatArray) -> FloatArray:
    """Holm's step-down adjustment along the last axis (Holm 1979, Scand. J. Statist. 6, 65); nan stays nan."""
    order = np.argsort(p_values, axis=-1)  # nan comes last
    ranked = np.take_along_axis(p_values, order, axis=-1)
    known = (~np.isnan(ranked)).sum(axis=-1, keepdims=True)
    factor = np.maximum(known - np.arange(p_values.shape[-1]), 1)
    steps = np.minimum(np.maximum.accumulate(np.where(np.isnan(ranked), 0, ranked * factor), axis=-1), 1)
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, np.where(np.isnan(ranked), np.nan, steps), axis=-1)
    return adjusted


def moments(cells: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Known cases, their mean and variance (cases - 1) of each row; nan where there are too few."""
    known = ~np.isnan(cells)
    cases = known.sum(axis=1).astype(np.float64)
    filled = np.where(known, cells, 0)
    mean = divide(filled.sum(axis=1), cases)
    deviations = np.where(known, filled - mean[:, None], 0)
    # Equal values may leave a rest of the rounding, which is no spread.
    deviations[np.abs(deviations) <= 1e-12 * np.abs(mean[:, None])] = 0
    return cases, mean, divide((deviations**2).sum(axis=1), cases - 1)


def _skewness(cells: FloatArray, mean: FloatArray) -> FloatArray:
    deviations = cells - mean[:, None]
    second, third = np.nanmean(deviations**2, axis=1), np.nanmean(deviations**3, axis=1)
    skew: FloatArray = np.divide(third, second**1.5, out=np.zeros_like(second), where=second > 0)
    return skew


def _quantile(cases: FloatArray) -> FloatArray:
    quantile: FloatArray = stdtrit(np.maximum(cases - 1, 1), _UPPER)
    return quantile


def _bounds(mean: FloatArray, low: FloatArray, high: FloatArray, cases: FloatArray) -> Bounds:
    enough = cases >= LEAST_CASES
    return Bounds(mean=mean, low=np.where(enough, low, np.nan), high=np.where(enough, high, np.nan), cases=cases)
