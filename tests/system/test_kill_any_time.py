# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of archiver or worker at random moments: every request ends, one course each, and nothing
half-made is left after the sweep. Five rounds, fifty with NAVETTE_NIGHTLY=1; NAVETTE_SEED repeats one."""
# ctest timeout 1500
import time

from harness import chance, nightly, samples

ROUNDS = 50 if nightly.NIGHTLY else 5
REQUESTS = 3
# An export and an import of such a course take about a second together under the sanitizers.
LONGEST = 1.5


def test_kill_any_time(farm):
    rng = chance.generator()
    daemons = farm.all()[1:]
    for number in range(ROUNDS):
        for i in range(REQUESTS):
            farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 10 * number + i, 6,
                                                     400_000)))
        for _ in range(2):
            time.sleep(rng.uniform(0, LONGEST))  # the moment is what is random here
            victim = rng.choice(daemons)
            print(f"round {number}: kill {victim.name}")
            victim.kill()
            victim.start()
        farm.wait_all("restored")
    farm.assert_restored_once()
    farm.assert_nothing_left()
