"""Follows a stranger's URL, and nowhere but to public addresses."""

from fetch.addresses import is_public
from fetch.allowed import Allowed
from fetch.errors import (
    FetchError,
    ForbiddenURLError,
    NotFoundError,
    TooLargeError,
    TroubleError,
    UselessError,
)
from fetch.fetcher import Fetcher
from fetch.guard import Guard, Internet, Network
from fetch.sender import Answer, Sender, check
from fetch.urls import LONGEST_URL, Target, masked, parse

__all__ = [
    "LONGEST_URL",
    "Allowed",
    "Answer",
    "FetchError",
    "Fetcher",
    "ForbiddenURLError",
    "Guard",
    "Internet",
    "Network",
    "NotFoundError",
    "Sender",
    "Target",
    "TooLargeError",
    "TroubleError",
    "UselessError",
    "check",
    "is_public",
    "masked",
    "parse",
]
