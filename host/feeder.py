"""Takes items from a source that may block, and never more of them than are wanted."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterable, Iterable
from typing import Any

__all__ = ["AsyncFeeder", "Feeder"]


class _Items:
    """What has been taken from a source and not been used.

    Members
    -------
    ended : whether the source has no more; only then is :attr:`error` of interest.
    error : what the source raised.
    """

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._changed = threading.Event()
        self._stopped = False
        self._over = False
        self.error: BaseException | None = None

    @property
    def ended(self) -> bool:
        return self._over and not self._items

    def get(self) -> tuple[Any] | None:
        """The next item, in a tuple; None if there is none yet."""
        self._changed.clear()
        return (self._items.popleft(),) if self._items else None

    def wait(self, timeout_s: float) -> None:
        """Until there may be something new."""
        if not self._items and not self._over:
            self._changed.wait(timeout_s)

    def _put(self, item: Any) -> None:
        self._items.append(item)
        self._changed.set()

    def _end(self, error: BaseException | None = None) -> None:
        self.error, self._over = error, True
        self._changed.set()


class Feeder(_Items):
    """Of an iterable, in a thread of its own, for whoever waits for it cannot do anything else.

    Parameters
    ----------
    source : items.
    ahead : so many are taken before :meth:`grant`.
    """

    def __init__(self, source: Iterable[Any], ahead: int):
        super().__init__()
        self._source, self._permits = source, threading.Semaphore(ahead)
        threading.Thread(target=self._run, daemon=True, name="ionspike stream's source").start()

    def grant(self) -> None:
        """One more may be taken."""
        self._permits.release()

    def stop(self) -> None:
        """Take no more; a source that is waiting is closed when it next gives something."""
        self._stopped = True
        self._permits.release()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            iterator = iter(self._source)
            try:
                while True:
                    self._permits.acquire()
                    if self._stopped:
                        break
                    self._put(next(iterator))
            except StopIteration:
                pass
            finally:
                if (close := getattr(iterator, "close", None)) is not None:
                    close()
        except BaseException as raised:     # to be raised where the stream is used
            error = raised
        self._end(error)


class AsyncFeeder(_Items):
    """The same of an asynchronous iterable, in a task of the running loop."""

    def __init__(self, source: AsyncIterable[Any], ahead: int):
        super().__init__()
        self._source, self._permits = source, asyncio.Semaphore(ahead)
        self._task = asyncio.ensure_future(self._run())

    def grant(self) -> None:
        """One more may be taken."""
        self._permits.release()

    def stop(self) -> None:
        """Take no more; a source that is waiting is cancelled."""
        self._stopped = True
        loop = self._task.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._task.cancel)

    async def _run(self) -> None:
        error: BaseException | None = None
        iterator = aiter(self._source)
        try:
            while True:
                await self._permits.acquire()
                self._put(await anext(iterator))
        except (StopAsyncIteration, asyncio.CancelledError):
            pass
        except BaseException as raised:
            error = raised
        finally:
            self._end(error)
            if (close := getattr(iterator, "aclose", None)) is not None:
                await close()
