"""A client for the Jimeng video site: sign, upload, submit, poll."""

from jimeng.account import Account, Identity, Region, identity
from jimeng.client import Jimeng
from jimeng.draft import Submission, draft
from jimeng.errors import (
    BadAnswer,
    Effect,
    ErrorKind,
    InvalidAccount,
    InvalidJob,
    JimengError,
    NoAnswer,
    Refused,
    SessionEffect,
    TaskEffect,
    Unknown,
    Unreachable,
    UploadFailed,
    effect_of,
)
from jimeng.jobs import Mode, VideoJob, check, check_lengths, fit, mode_of
from jimeng.materials import FileKind, Uploaded
from jimeng.models import DEFAULT_MODEL, MODELS, Model, References, find_model
from jimeng.poll import Finished, Node, Outcome, Progress, Rejected, Running
from jimeng.results import Item, Link
from jimeng.standing import Credits, Live
from jimeng.submit import Accepted, read_submit
from jimeng.upstream import Upstream, neighbours
from jimeng.wire import transport

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "Accepted",
    "Account",
    "BadAnswer",
    "Credits",
    "Effect",
    "ErrorKind",
    "FileKind",
    "Finished",
    "Identity",
    "InvalidAccount",
    "InvalidJob",
    "Item",
    "Jimeng",
    "JimengError",
    "Link",
    "Live",
    "Mode",
    "Model",
    "NoAnswer",
    "Node",
    "Outcome",
    "Progress",
    "References",
    "Refused",
    "Region",
    "Rejected",
    "Running",
    "SessionEffect",
    "Submission",
    "TaskEffect",
    "Unknown",
    "Unreachable",
    "UploadFailed",
    "Uploaded",
    "Upstream",
    "VideoJob",
    "check",
    "check_lengths",
    "draft",
    "effect_of",
    "find_model",
    "fit",
    "identity",
    "mode_of",
    "neighbours",
    "read_submit",
    "transport",
]
