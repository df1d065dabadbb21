# SPDX-License-Identifier: Apache-2.0
import time


def until(condition, seconds=10):
    """Waits until condition() holds; its last value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "did not happen within %d s" % seconds
        time.sleep(0.02)
