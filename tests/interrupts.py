"""Press Ctrl-C from inside a test."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def ctrl_c_after(seconds: float) -> Iterator[None]:
    """Raise KeyboardInterrupt so many seconds from now, and every five seconds until the block ends.

    Again and again, as a person would: one that falls into a finalizer, or into compiled code that drops
    exceptions, is lost, and a test that has no other end would then never end. That one was is no failure.
    """
    with _listening():
        signal.setitimer(signal.ITIMER_REAL, seconds, 5)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def ctrl_c_inside(function: Callable[..., Any]) -> Iterator[None]:
    """Raise KeyboardInterrupt as soon as this thread, the main one, is inside `function`, however long it
    takes to come there, and every five seconds while it is until the block ends, as above.
    """
    over, here = threading.Event(), threading.get_ident()

    def watch() -> None:
        pause = 0.0
        while not over.wait(pause):
            pause = 0.01
            if _is_inside(sys._current_frames().get(here), function):
                signal.pthread_kill(here, signal.SIGALRM)
                pause = 5

    with _listening():
        watching = threading.Thread(target=watch, name="ctrl-c", daemon=True)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()


@contextmanager
def _listening() -> Iterator[None]:
    before, told = signal.signal(signal.SIGALRM, signal.default_int_handler), sys.unraisablehook

    def tell(lost: "sys.UnraisableHookArgs") -> None:
        if lost.exc_type is not KeyboardInterrupt:
            told(lost)

    sys.unraisablehook = tell
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = told


def _is_inside(frame: FrameType | None, function: Callable[..., Any]) -> bool:
    while frame is not None:
        if frame.f_code is function.__code__:
            return True
        frame = frame.f_back
    return False
