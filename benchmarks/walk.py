"""Time the random walk three ways on the same graph, in one run: dense squaring, plain sparse steps, and the expansion.

    python benchmarks/walk.py [--size 94 125] [--labels 6] [--steps 256] [--dense-size 40 50] [--json]

The dense matrix of a whole image takes minutes and gigabytes, so it is timed on a smaller grid and scaled with n³
(`--dense-size` equal to `--size` times it in full). Ratios are what counts; seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from sisegcli.grouping.affinity import boundary_affinity
from sisegcli.grouping.walk import chebyshev_coefficients, dense_walk, random_walk

Floats = NDArray[np.float32]


def make_graph(height: int, width: int, labels: int) -> tuple[sparse.csr_array, Floats]:
    """Return affinities and seeds of a grid on which smooth random fields are the instances."""
    rng = np.random.default_rng(0)
    fields = ndimage.gaussian_filter(rng.standard_normal((labels, height, width)), (0, 6, 6))
    owner = fields.argmax(axis=0)
    edge = ndimage.maximum_filter(owner, 3) != ndimage.minimum_filter(owner, 3)
    boundary = np.clip(0.8 * edge + 0.1 * rng.random((height, width)), 0, 1).astype(np.float32)
    seeds = np.eye(labels, dtype=np.float32)[owner.ravel()] * (1 - boundary.reshape(-1, 1))
    return boundary_affinity(boundary, np.ones((height, width), bool)), seeds


def sparse_steps(affinity: sparse.csr_array, seeds: Floats, steps: int) -> Floats:
    """Walk step by step with the sparse transition matrix."""
    transition = affinity.multiply(1 / affinity.sum(axis=0)).tocsr().astype(np.float32)
    for _ in range(steps):
        seeds = transition @ seeds
    return seeds


def seconds(walk: Callable[[], Floats], repeats: int) -> tuple[float, Floats]:
    """Return the shortest time of several runs, and the result."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = walk()
        times.append(time.perf_counter() - begin)
    return min(times), result


def measure(size: tuple[int, int], dense_size: tuple[int, int], labels: int, steps: int) -> dict[str, Any]:
    """Time the three walks, and compare what they give."""
    affinity, seeds = make_graph(*size, labels)
    expansion, walked = seconds(lambda: random_walk(affinity, seeds, steps), 5)
    plain, expected = seconds(lambda: sparse_steps(affinity, seeds, steps), 2)
    small_affinity, small_seeds = make_graph(*dense_size, labels)
    dense, small_expected = seconds(lambda: dense_walk(small_affinity, small_seeds, steps, np.float32), 1)
    small_walked = random_walk(small_affinity, small_seeds, steps)
    scale = (affinity.shape[0] / small_affinity.shape[0]) ** 3
    return {
        "grid": list(size),
        "pixels": affinity.shape[0],
        "links": affinity.nnz,
        "labels": labels,
        "steps": steps,
        "terms": len(chebyshev_coefficients(steps)),
        "dense_grid": list(dense_size),
        "seconds": {"dense": dense * scale, "sparse": plain, "expansion": expansion},
        "dense_is_scaled": scale != 1,
        "ratio": {"dense": dense * scale / expansion, "sparse": plain / expansion, "expansion": 1.0},
        "max_error": {
            "to_sparse": float(np.abs(walked - expected).max()),
            "to_dense": float(np.abs(small_walked - small_expected).max()),
        },
    }


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs=2, type=int, default=(94, 125), metavar=("H", "W"))
    parser.add_argument("--dense-size", nargs=2, type=int, default=(40, 50), metavar=("H", "W"))
    parser.add_argument("--labels", type=int, default=6)
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(tuple(options.size), tuple(options.dense_size), options.labels, options.steps)
    if options.json:
        json.dump(found, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    height, width = found["grid"]
    lines = [
        f"grid {height} x {width}, {found['links']:,} links, {found['labels']} labels, {found['steps']} steps, "
        f"{found['terms']} terms",
        f"{'':<12}{'seconds':>10}{'ratio':>10}",
    ]
    for name, value in found["seconds"].items():
        note = (
            f"  (scaled from {' x '.join(map(str, found['dense_grid']))})"
            if name == "dense" and found["dense_is_scaled"]
            else ""
        )
        lines.append(f"{name:<12}{value:>10.3f}{found['ratio'][name]:>10.1f}{note}")
    errors = found["max_error"]
    lines.append(
        f"largest error: {errors['to_sparse']:.1e} to sparse steps, {errors['to_dense']:.1e} to the dense walk"
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
