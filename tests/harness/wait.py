# SPDX-License-Identifier: Apache-2.0
"""Time limits. FENCE_TEST_SLOW=N multiplies every one of them, for machines that are N times slower
than a usual one (emulated ones)."""
import os
import time

SLOW = max(1.0, float(os.environ.get("FENCE_TEST_SLOW") or 1))


def until(condition, seconds=10):
    """Waits until condition() holds; its last value."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "did not happen within %d s" % (seconds * SLOW)
        time.sleep(0.02)
