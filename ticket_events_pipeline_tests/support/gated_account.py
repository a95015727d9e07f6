"""An account whose server pauses at a chosen request until a test releases it: a moment to kill a process at."""

import threading

from ticket_events_pipeline.sandbox.rows import RecordedAccount


class GatedAccount(RecordedAccount):
    """Counts the pages asked for; at number `gate_at` it says `reached` and waits for `released`, `gate_seconds` at most."""

    def __init__(self, rows=None, *, name: str = "recorded", gate_seconds: float = 60) -> None:
        super().__init__(rows, name=name)
        self._gate_seconds = gate_seconds
        self.asked = 0
        self.gate_at = None
        self.reached, self.released = threading.Event(), threading.Event()

    def close_gate_at(self, number: int) -> None:
        self.reached.clear()
        self.released.clear()
        self.gate_at = number

    def rows(self, stream, start_time, **options):
        self.asked += 1
        if self.asked == self.gate_at:
            self.reached.set()
            self.released.wait(self._gate_seconds)
        return super().rows(stream, start_time, **options)
