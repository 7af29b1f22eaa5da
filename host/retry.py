"""When to send again what is not acknowledged, and when to give up."""

from dataclasses import dataclass

__all__ = ["Retry"]

#: Least and most time after which frames that are not acknowledged are sent again.
MIN_S, MAX_S = 0.03, 1.0
#: Least time on a bad line, where a lost answer is likelier than a late one.
BAD_MIN_S = 0.005
#: A board that said nothing after so many tries may need all the time it can get.
BAD_TRIES = 3
#: So many times in a row without a word from the board: it is dead.
SILENT_TRIES = 8
#: So many times in a row without progress, though the board answers: the line is unusable.
TRIES = 400


@dataclass
class Retry:
    """Patience with the board; all times are in seconds.

    Parameters
    ----------
    round_trip_s : between a frame and its acknowledgement, from the first exchange; averaged later.
    now_s : the time.

    Attributes
    ----------
    tries : how often the frames in flight have been sent again.
    silent : how often in a row without a word from the board.
    least_trip_s : shortest round trip of late.
    """

    round_trip_s: float
    now_s: float

    def __post_init__(self) -> None:
        self.tries = self.silent = 0
        self._stretch = 1.0
        self.least_trip_s = self.round_trip_s
        self._since_s = self.now_s
        self._again: tuple[int, float] | None = None

    def waits_since(self, now_s: float) -> None:
        """There was nothing in flight before."""
        self._since_s = now_s

    def heard(self) -> None:
        """A frame came, whatever it says."""
        self.silent = 0

    def progress(self, now_s: float, sent_s: float | None) -> None:
        """Frames were acknowledged; the last was sent then, None if more than once."""
        self.tries, self._stretch = 0, 1.0
        self._since_s = now_s
        if sent_s is not None:
            self.round_trip_s += (now_s - sent_s - self.round_trip_s) / 8
            # Forgotten slowly, should the board or the line become slower.
            self.least_trip_s = min(now_s - sent_s, 1.05 * self.least_trip_s)

    def least_s(self, bad: bool) -> float:
        """Time in which there would be an answer, on a line that is bad or not."""
        quick = bad and self.silent < BAD_TRIES
        return max(BAD_MIN_S if quick else MIN_S, 3 * self.round_trip_s)

    def due(self, now_s: float, line_s: float, bad: bool) -> bool:
        """Too much time has passed; ``line_s`` is what the frames in flight need on the line."""
        timeout_s = self.least_s(bad) * self._stretch + line_s
        return now_s - self._since_s >= min(timeout_s, max(MAX_S, line_s))

    def timed_out(self) -> None:
        # A board that answers is waited for almost as briefly: the line is bad, not full.
        self._stretch = min(64.0, self._stretch * (2.0 if self.silent else 1.2))
        self.silent += 1

    def again(self, seq: int, now_s: float, ahead_s: float = 0.0) -> None:
        """Frames from ``seq`` on are sent again, after what needs ``ahead_s`` to leave the port."""
        self._since_s = now_s
        self._again = seq, now_s + ahead_s
        self.tries += 1

    def on_its_way(self, seq: int, now_s: float) -> bool:
        """What is asked for was sent again so lately that who asks cannot have seen it."""
        return self._again is not None and self._again[0] == seq and (
            now_s - self._again[1] < self.least_trip_s)

    @property
    def dead(self) -> bool:
        return self.silent > SILENT_TRIES

    @property
    def hopeless(self) -> bool:
        return self.tries > TRIES
