"""Grouping's array work in batches, in plain torch operations, for devices that compute in parallel.

What is here gives what its twin in `sisegcli.grouping` gives, bit by bit: sums are made in the same order, in the same
precision, by multiplications and additions that nothing fuses, and where several places are as good, the same one is
taken. What is small and full of branches (pieces, evidence), or whose ties depend on the order of a queue (the flooding
of basins) or of a scan (components of weak field), stays with NumPy, SciPy and cc3d.
"""
