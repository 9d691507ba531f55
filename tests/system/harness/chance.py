# SPDX-License-Identifier: GPL-3.0-or-later
"""Random moments that a failed run tells how to repeat."""
import os
import random


def generator():
    """A generator whose seed is printed; NAVETTE_SEED repeats a run."""
    seed = int(os.environ.get("NAVETTE_SEED", str(random.randrange(10 ** 6))))
    print(f"NAVETTE_SEED={seed}")
    return random.Random(seed)
