"""Press Ctrl-C from inside a test."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ctrl_c_after(seconds: float) -> Iterator[None]:
    """Raise KeyboardInterrupt so many seconds from now, and every five seconds until the block ends.

    Again and again, as a person would: one that falls into a finalizer, or into compiled code that drops
    exceptions, is lost, and a test that has no other end would then never end. That one was is no failure.
    """
    before, told = signal.signal(signal.SIGALRM, signal.default_int_handler), sys.unraisablehook

    def tell(lost: "sys.UnraisableHookArgs") -> None:
        if lost.exc_type is not KeyboardInterrupt:
            told(lost)

    sys.unraisablehook = tell
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = told
