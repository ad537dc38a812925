"""A client for the Jimeng site, its videos and images: sign, upload, submit, poll."""

from jimeng.account import Account, Identity, Region, identity
from jimeng.client import Jimeng
from jimeng.costs import expected_credits
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
from jimeng.image_jobs import ImageJob
from jimeng.image_models import (
    DEFAULT_IMAGE_MODEL,
    IMAGE_MODELS,
    PER_JOB,
    SIZES,
    ImageModel,
    shape_of,
)
from jimeng.jobs import Job, Mode, VideoJob, check, check_lengths, fit, mode_of
from jimeng.materials import FileKind, Uploaded
from jimeng.models import MODELS, Model, find_model
from jimeng.poll import Finished, Node, Outcome, Progress, Rejected, Running
from jimeng.results import Item, Link
from jimeng.standing import Credits, Live
from jimeng.submit import Accepted, read_submit
from jimeng.upstream import Upstream, neighbours
from jimeng.video_models import (
    DEFAULT_MODEL,
    VIDEO_MODELS,
    References,
    VideoModel,
)
from jimeng.wire import transport

__all__ = [
    "DEFAULT_IMAGE_MODEL",
    "DEFAULT_MODEL",
    "IMAGE_MODELS",
    "MODELS",
    "PER_JOB",
    "SIZES",
    "VIDEO_MODELS",
    "Accepted",
    "Account",
    "BadAnswer",
    "Credits",
    "Effect",
    "ErrorKind",
    "FileKind",
    "Finished",
    "Identity",
    "ImageJob",
    "ImageModel",
    "InvalidAccount",
    "InvalidJob",
    "Item",
    "Jimeng",
    "JimengError",
    "Job",
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
    "VideoModel",
    "check",
    "check_lengths",
    "draft",
    "effect_of",
    "expected_credits",
    "find_model",
    "fit",
    "identity",
    "mode_of",
    "neighbours",
    "read_submit",
    "shape_of",
    "transport",
]
