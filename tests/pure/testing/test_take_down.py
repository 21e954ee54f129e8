"""A test's lab goes down whole, however often Ctrl-C is pressed."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from netlab.testrun import run


def test_an_interrupt_waits_until_the_lab_is_down_where_another_thread_is_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel gave it to the other thread, and Python then interrupted this one in the middle."""
    steps = []

    def down(name: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(20):  # so often may the interpreter look for signals
            time.sleep(0.005)
        steps.append(name)

    monkeypatch.setattr(run, "down", down)
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # netlab's entry point has set another one
    try:
        with pytest.raises(KeyboardInterrupt):
            run.take_down("a")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
        over.set()
        other.join()
    assert steps == ["a"]
