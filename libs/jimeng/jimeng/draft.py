"""The body of a submit: what the page would send for a job.

Pure: ids and the time are handed in, so that the same arguments give the same bytes
and a caller can store their hash before anything is sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from jimeng import image_draft, video_draft
from jimeng.account import Account, Region
from jimeng.errors import InvalidJob
from jimeng.image_jobs import ImageJob
from jimeng.jobs import Job, check
from jimeng.materials import Uploaded
from jimeng.tree import Object, Tree, json_of
from jimeng.upstream import PAGE_PATH, PLACES, Upstream, generate_query

PATH = "/mweb/v1/aigc_draft/generate"


@dataclass(frozen=True, slots=True)
class Submission:
    """A submit, ready to send. `referer` is a path of the site."""

    path: str
    query: Mapping[str, str]
    body: str
    referer: str

    def url(self, upstream: Upstream, region: Region) -> str:
        """The absolute URL, unsigned, as the page's `fetch` is given it."""
        return f"{upstream.api(region, self.path)}?{urlencode(self.query)}"


def draft(
    job: Job,
    materials: Sequence[Uploaded],
    *,
    submit_id: str,
    account: Account,
    now: datetime,
    ids: Callable[[], str],
) -> Submission:
    """The submit of a job whose files are uploaded, in the job's order of files.

    `ids` gives a new uuid at each call. Raises InvalidJob when the job, or its
    materials, do not fit the model or each other.
    """
    check(job, region=account.region)
    if tuple(each.kind for each in materials) != job.files:
        raise InvalidJob("files", "the uploaded files are not those of the job")
    if any(each.kind != "image" and each.duration_ms <= 0 for each in materials):
        raise InvalidJob("files", "the length of a video or audio file is not known")
    body = {
        **_asked(job, materials, account.region, Tree(submit_id, now, ids)),
        "submit_id": submit_id,
        "http_common_info": {"aid": PLACES[account.region].aid},
    }
    return Submission(
        path=PATH,
        query=generate_query(account, job.model.draft_version),
        body=json_of({name: body[name] for name in _ORDER}),
        referer=f"{PAGE_PATH}{job.model.kind}",
    )


_ORDER = ("extend", "submit_id", "metrics_extra", "draft_content", "http_common_info")


def _asked(
    job: Job, materials: Sequence[Uploaded], region: Region, tree: Tree
) -> Object:
    """What is billed, counted and made; the draft is a string, not an object."""
    if isinstance(job, ImageJob):
        metrics = json_of(image_draft.metrics(job, region, tree))
        made = image_draft.build(job, materials, tree)
        extend = image_draft.extend(job)
    else:
        metrics = json_of(video_draft.metrics(job, tree))
        made = video_draft.build(job, materials, metrics, tree)
        extend = video_draft.extend(job)
    return {
        "extend": extend,
        "metrics_extra": metrics,
        "draft_content": json_of(made),
    }
