"""Random walk on pixels: seeds spread over the links of an affinity matrix, never through a dense one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

Floats = NDArray[np.float32]


def random_walk(affinity: sparse.csr_array, seeds: Floats, steps: int = 256, error: float = 1e-3) -> Floats:
    """Spread seeds by a random walk: Q ** steps @ seeds, where Q is the affinity with columns normalised to 1.

    Parameters
    ----------
    affinity : (n, n) csr_array of float32
        Symmetric, not negative.
    seeds : (n, k) array of float32
        What each of n pixels holds of each of k labels before the first step.
    steps : int
        Length of the walk, U.
    error : float
        How much of a step's weight the expansion may leave out; 0 keeps every term.

    Returns
    -------
    (n, k) array of float32
        What each pixel holds after the walk. Columns keep their sums; values may be below 0 by about `error`.
        A pixel without any link keeps what it has.

    Notes
    -----
    Q = A D⁻¹ with D the diagonal of A's sums is similar to the symmetric S = D^-½ A D^-½, so

        Q^U f = D^½ S^U D^-½ f,    S^U = Σ c_k T_k(S),    c_k = 2^(1 - U) C(U, (U - k) / 2) for k ≡ U (mod 2),

    with c_0 halved. S has its spectrum in [-1, 1], where |T_k| ≤ 1, and the c_k are the odds that a coin thrown U times
    gives k more of one side than of the other. They fade like exp(-k² / 2U), so that some √(2 U ln(2 / error)) terms
    suffice, each of which costs one sparse product (57 instead of 256). The terms that are kept are scaled to the
    sum 1: the walk neither loses nor makes mass.

    IRNet's code lets pixels *take* the mean of their neighbours (Qᵀ), which keeps constants instead of sums; it is
    ``random_walk(affinity, seeds * d) / d``, where d is a column of A's sums.

    Examples
    --------
    Two pixels with a strong link, and a third that hardly hears of them:

    >>> affinity = sparse.csr_array(np.array([[1, 1, 0], [1, 1, 0.01], [0, 0.01, 1]], np.float32))
    >>> random_walk(affinity, np.array([[1, 0], [0, 0], [0, 1]], np.float32), steps=8).round(2)
    array([[0.49, 0.03],
           [0.49, 0.04],
           [0.02, 0.92]], dtype=float32)
    """
    degree, lonely = _degree(affinity)
    root = np.sqrt(degree, dtype=np.float32)
    # 2 S by columns, which is 2 S by rows as it is symmetric: scipy multiplies columns with several vectors faster.
    data = 2 * affinity.data / (np.repeat(root, np.diff(affinity.indptr)) * root[affinity.indices])
    twice = sparse.csc_array((data, affinity.indices, affinity.indptr), shape=affinity.shape)
    root = root[:, None]

    coefficients = chebyshev_coefficients(steps, error)
    count = seeds.shape[1]
    # Scipy takes four columns in less time than three.
    before = np.zeros((len(seeds), -(-count // 4) * 4), np.float32)
    np.divide(np.asarray(seeds, np.float32), root, out=before[:, :count])
    walked: Floats = np.float32(coefficients[0]) * before
    if len(coefficients) > 1:
        now = twice @ before / 2
        walked += np.float32(coefficients[1]) * now
    for coefficient in coefficients[2:]:
        after = twice @ now
        after -= before
        before, now = now, after
        if coefficient:
            walked += np.float32(coefficient) * now
    walked = walked[:, :count] * root
    walked[lonely] = seeds[lonely]
    return walked


def dense_walk(affinity: sparse.csr_array, seeds: Floats, steps: int = 256, dtype: DTypeLike = np.float64) -> Floats:
    """Spread seeds as `random_walk` does, by squaring the dense matrix: the reference for tests and benchmarks.

    Takes n² of memory and log2(steps) n³ of time, which is IRNet's way.

    Parameters
    ----------
    affinity : (n, n) csr_array
        Symmetric, not negative.
    seeds : (n, k) array of float32
        What each pixel holds of each label before the first step.
    steps : int
        Length of the walk.
    dtype : dtype
        What to compute in.

    Returns
    -------
    (n, k) array of float32
        What each pixel holds after the walk.

    Examples
    --------
    >>> affinity = sparse.csr_array(np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], np.float32))
    >>> dense_walk(affinity, np.array([[1], [0], [0]], np.float32), steps=1)
    array([[0.5],
           [0.5],
           [0. ]], dtype=float32)
    """
    degree, lonely = _degree(affinity)
    transition = affinity.toarray().astype(dtype) / degree.astype(dtype)
    walked: Floats = (np.linalg.matrix_power(transition, steps) @ seeds).astype(np.float32)
    walked[lonely] = seeds[lonely]
    return walked


def chebyshev_coefficients(steps: int, error: float = 1e-3) -> NDArray[np.float64]:
    """Expand x ** steps in Chebyshev polynomials, cut where less than half of `error` is left.

    Parameters
    ----------
    steps : int
        The power, from 0.
    error : float
        Bound on the difference from x ** steps for x in [-1, 1].

    Returns
    -------
    (terms,) array of float64
        Coefficients of T_0, T_1, …, not negative, with the sum 1; those of the wrong parity are 0.

    Examples
    --------
    x² = (T_0 + T_2) / 2 and x³ = (3 T_1 + T_3) / 4:

    >>> chebyshev_coefficients(2).round(12).tolist(), chebyshev_coefficients(3).round(12).tolist()
    ([0.5, 0.0, 0.5], [0.0, 0.75, 0.0, 0.25])
    >>> len(chebyshev_coefficients(256, error=1e-3))
    57
    """
    coefficients = np.zeros(steps + 1)
    for k in range(steps % 2, steps + 1, 2):
        # The logarithm, because binomial coefficients of long walks leave the range of floats.
        below, above = (steps - k) // 2, (steps + k) // 2
        chance = math.lgamma(steps + 1) - math.lgamma(below + 1) - math.lgamma(above + 1) - steps * math.log(2)
        coefficients[k] = math.exp(chance) * (2 if k else 1)
    left = np.cumsum(coefficients[::-1])[::-1]
    kept = coefficients[: max(1, np.count_nonzero(left > min(error, 1) / 2))]
    scaled: NDArray[np.float64] = kept / kept.sum()
    return scaled


def _degree(affinity: sparse.csr_array) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the sums of the columns, with 1 for 0, and whether a sum is 0."""
    degree = np.asarray(affinity.sum(axis=0), np.float32).ravel()
    lonely = degree == 0
    degree[lonely] = 1
    return degree, lonely
