"""Where requests arrive: they are let into the queue, told to come later, or turned away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import simpy

    from sim.admission import AdmissionControl
    from sim.batch import Batch
    from sim.request import Sequence
    from traces.record import Request


class Gate:
    """Stands before the queue of a batch; whoever is told to come later enters like an arrival.

    Attributes:
        num_delayed: Requests that have arrived, and will join the queue.
    """

    def __init__(
        self,
        env: simpy.Environment,
        batch: Batch,
        control: AdmissionControl | None,
        on_entry: Callable[[], None],
    ) -> None:
        """Open it.

        Args:
            env: The simulation; an entry is a timeout in it, as arrivals are.
            batch: Where requests enter.
            control: What has a say in it, if anything.
            on_entry: Called before somebody enters late, so that the engine is up to date.
        """
        self.num_delayed = 0
        self._env = env
        self._batch = batch
        self._control = control
        self._on_entry = on_entry

    def meet(self, request: Request) -> None:
        """A request arrives now; the log says so, whatever becomes of it."""
        sequence = self._batch.announce(request)
        if sequence is None:
            return
        if self._control is None:
            self._batch.enter(sequence)
        else:
            self._judge(sequence, self._control)

    def _judge(self, sequence: Sequence, control: AdmissionControl) -> None:
        """Let a request in, now or later, or turn it away."""
        now_ns = int(self._env.now)
        num_waiting = len(self._batch.waiting) + self.num_delayed + 1
        reason = control.refusal(sequence, now_ns, num_waiting)
        if reason is not None:
            self._batch.refuse(sequence, reason)
            return
        delay_ns = control.delay_ns(sequence, now_ns)
        if delay_ns:
            self._delay(sequence, delay_ns)
        else:
            self._batch.enter(sequence)

    def _delay(self, sequence: Sequence, delay_ns: int) -> None:
        def enter(event: simpy.Event) -> None:
            del event
            self.num_delayed -= 1
            self._on_entry()
            self._batch.enter(sequence)

        self.num_delayed += 1
        timeout = self._env.timeout(delay_ns)
        timeout.callbacks.append(enter)
