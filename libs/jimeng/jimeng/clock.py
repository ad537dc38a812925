"""The site's time: what is signed with a clock that is off, the site refuses (1014)."""

import logging
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

APART_SECONDS = 60.0
"""From here on ours counts as wrong; less may be the way of an answer."""

log = logging.getLogger("jimeng")


class SiteClock:
    """Our clock, put right by the `Date` of the site's answers where it is wrong."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return the time at the site, in seconds since 1970."""
        return self._clock() + self._ahead

    def heard(self, date: str) -> bool:
        """Compare with an answer's `Date`; True when it puts what we tell right."""
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return False
        wrong = abs(theirs - self()) > APART_SECONDS
        if wrong:
            apart = theirs - self._clock()
            self._ahead = apart if abs(apart) > APART_SECONDS else 0.0
            log.warning(
                "this machine's clock is %+.0f s off the site's: going by the site's",
                -self._ahead,
            )
        return wrong


SITE_CLOCK = SiteClock()
"""The one of this process: all its accounts speak to one site from one machine."""
