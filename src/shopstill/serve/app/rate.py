"""A limit on how often one client may ask: a bucket of tokens for each."""

from __future__ import annotations

from collections import OrderedDict

from shopstill.serve.app.errors import Refusal

_MOST_CLIENTS = 50_000


class Rate:
    """Buckets that hold ``burst`` tokens and fill at ``rate`` a second; a request takes one.

    Args:
        rate: tokens a second.
        burst: tokens of a full bucket.

    >>> rate = Rate(1, 2)
    >>> [rate.wait("a", now) for now in (0, 0, 0, 1)]
    [0.0, 0.0, 1.0, 0.0]
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Take a token; seconds until there is one, where there is none."""
        tokens, since = self._buckets.pop(client, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        short = max(0.0, 1 - tokens) / self._rate
        self._buckets[client] = (tokens if short else tokens - 1, now)
        # Who was not heard of for longest has the fullest bucket, so that forgetting it changes least.
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return short

    def take(self, client: str, now: float) -> None:
        """Take a token.

        Raises:
            Refusal: there is none.
        """
        short = self.wait(client, now)
        if short:
            after = str(max(1, round(short + 0.5)))
            message = f"more than {self._rate:g} requests a second from one client; try again in {after} s"
            raise Refusal(429, "rate", message, {"retry-after": after})
