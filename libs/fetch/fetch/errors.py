"""Everything that can go wrong with a URL, cut by what the caller can do about it.

FetchError
├── ForbiddenURLError   not followed, whatever is behind it: another URL is needed
├── NotFoundError       there is no such host, or it says that it has no such file
├── UselessError        what came cannot be used
│   └── TooLargeError   more bytes than the caller allowed
└── TroubleError        it did not work now: trying again later may help

The texts are for the person who gave the URL: they say what to do, and hold neither
the URL's user nor its query nor what its name resolved to.
"""


class FetchError(Exception):
    """A URL did not give its file."""


class ForbiddenURLError(FetchError):
    """A URL that is not followed."""


class NotFoundError(FetchError):
    """Nothing is there, or nothing for us."""


class UselessError(FetchError):
    """An answer that cannot be used, however often it is asked for."""


class TooLargeError(UselessError):
    """More bytes than the caller allowed."""


class TroubleError(FetchError):
    """It did not work now."""
