"""The body of a submit: the draft tree the page would build for a job.

Pure: ids and the time are handed in, so that the same arguments give the same bytes
and a caller can store their hash before anything is sent.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zlib import crc32

from jimeng.account import Account, Region
from jimeng.errors import InvalidJob
from jimeng.jobs import Mode, VideoJob, check
from jimeng.materials import Uploaded
from jimeng.prompts import unified
from jimeng.upstream import PAGE_PATH, PLACES, Upstream, generate_query

PATH = "/mweb/v1/aigc_draft/generate"
FPS = 24  # the page offers no other
_MATERIAL_CODES = {"image": 1, "video": 2, "audio": 3}

Object = dict[str, Any]


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
    job: VideoJob,
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
    metrics = _json(_metrics(job, submit_id))
    tree = _Tree(job, materials, ids).build(submit_id, metrics, now)
    body = {
        "extend": _extend(job),
        "submit_id": submit_id,
        "metrics_extra": metrics,
        "draft_content": _json(tree),  # a string: the site refuses an object
        "http_common_info": {"aid": PLACES[account.region].aid},
    }
    return Submission(
        path=PATH,
        query=generate_query(account, job.model.draft_version),
        body=_json(body),
        referer=f"{PAGE_PATH}video",
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _extend(job: VideoJob) -> Object:
    """What the submit is billed as."""
    benefit = job.model.benefit_type(job.resolution, has_video="video" in job.files)
    commerce = {
        "benefit_type": benefit,
        "resource_id": "generate_video",
        "resource_id_type": "str",
        "resource_sub_type": "aigc",
    }
    return {
        "root_model": job.model.key,
        "m_video_commerce_info": commerce,
        "m_video_commerce_info_list": [commerce],
    }


def _metrics(job: VideoJob, submit_id: str) -> Object:
    """The page's own statistics; the site repeats them and checks nothing."""
    omni = job.mode is Mode.OMNI
    metrics: Object = {
        "promptSource": "custom",
        "isDefaultSeed": 1 if job.seed is None else 0,
        "originSubmitId": submit_id,
        "isRegenerate": False,
        "enterFrom": "click",
        "position": "page_bottom_box",
        "functionMode": "omni_reference" if omni else "first_last_frames",
        "sceneOptions": _json([_scene(job)]),
    }
    return metrics | ({"videoStage": "draft"} if job.model.draft_mode else {})


def _scene(job: VideoJob) -> Object:
    key = job.model.key
    sends = job.model.sends_resolution
    return {
        "type": "video",
        "scene": "BasicVideoGenerateButton",
        **({"resolution": job.resolution} if sends else {}),
        "modelReqKey": key,
        "videoDuration": job.duration,
        "materialTypes": sorted({_MATERIAL_CODES[kind] for kind in job.files}),
        "reportParams": {
            "enterSource": "generate",
            "vipSource": "generate",
            "extraVipFunctionKey": f"{key}-{job.resolution}" if sends else key,
            "useVipFunctionDetailsReporterHoc": True,
        },
    }


class _Tree:
    """Builds the draft of one job; every object in it has an id of its own."""

    def __init__(
        self, job: VideoJob, materials: Sequence[Uploaded], ids: Callable[[], str]
    ) -> None:
        self._job = job
        self._materials = materials
        self._ids = ids
        omni = job.mode is Mode.OMNI
        # Unified references came with 3.3.9, long after the rest.
        self._version = job.model.draft_version if omni else job.model.min_version

    def build(self, submit_id: str, metrics: str, now: datetime) -> Object:
        component = self._component(submit_id, metrics, now)
        return self._object(
            "draft",
            min_version=self._version,
            min_features=self._features(),
            is_from_tsn=True,
            version=self._job.model.draft_version,
            main_component_id=component["id"],
            component_list=[component],
        )

    def _object(self, kind: str = "", /, **fields: Any) -> Object:
        return {"type": kind, "id": self._ids(), **fields}

    def _features(self) -> list[str]:
        if self._job.model.draft_mode:
            return ["AIGC_Video_Seedance25ResultAction"]
        return ["AIGC_Video_UnifiedEdit"] if self._job.mode is Mode.OMNI else []

    def _component(self, submit_id: str, metrics: str, now: datetime) -> Object:
        return self._object(
            "video_base_component",
            min_version="1.0.0",
            aigc_mode="workbench",
            metadata=self._object(
                created_platform=3,
                created_platform_version="",
                created_time_in_ms=str(int(now.timestamp() * 1000)),
                created_did="",
            ),
            generate_type="gen_video",
            abilities=self._object(gen_video=self._gen_video(submit_id, metrics)),
            process_type=1,
        )

    def _gen_video(self, submit_id: str, metrics: str) -> Object:
        job = self._job
        seed = crc32(submit_id.encode()) if job.seed is None else job.seed
        params = self._object(
            video_gen_inputs=[self._input()],
            video_aspect_ratio=job.ratio,
            seed=seed,
            model_req_key=job.model.key,
            priority=0,
        )
        flag = {"is_draft_mode": True} if job.model.draft_mode else {}
        return self._object(
            text_to_video_params=params, video_task_extra=metrics, **flag
        )

    def _input(self) -> Object:
        job = self._job
        sends = job.model.sends_resolution
        return self._object(
            min_version=self._version,
            prompt="" if job.mode is Mode.OMNI else job.prompt,
            video_mode=2,
            fps=FPS,
            duration_ms=job.duration * 1000,
            **({"resolution": job.resolution} if sends else {}),
            idip_meta_list=[],
            **self._references(),
        )

    def _references(self) -> Object:
        match self._job.mode:
            case Mode.TEXT:
                return {}
            case Mode.OMNI:
                return {"unified_edit_input": self._unified()}
            case Mode.FIRST_FRAME | Mode.FIRST_LAST:
                names = ("first_frame_image", "end_frame_image")
                pairs = zip(names, self._materials, strict=False)
                return {name: self._image(each) for name, each in pairs}

    def _unified(self) -> Object:
        """Files and text of an omni job; its prompt lives here, cut at references."""
        return self._object(
            material_list=[self._material(each) for each in self._materials],
            meta_list=[
                self._meta(part) for part in unified(self._job.prompt, self._job.files)
            ],
        )

    def _meta(self, part: str | int) -> Object:
        if isinstance(part, str):
            return {"meta_type": "text", "text": part}
        return {
            "meta_type": self._materials[part].kind,
            "text": "",
            "material_ref": {"material_idx": part},
        }

    def _material(self, each: Uploaded) -> Object:
        build = {"image": self._image, "video": self._video, "audio": self._audio}
        inner = build[each.kind](each)
        return self._object(material_type=each.kind, **{f"{each.kind}_info": inner})

    def _image(self, each: Uploaded) -> Object:
        return self._object(
            "image",
            source_from="upload",
            platform_type=1,
            name="",
            image_uri=each.uri,
            uri=each.uri,
            width=each.width,
            height=each.height,
            format=each.format,
        )

    def _video(self, each: Uploaded) -> Object:
        return self._object(
            "video",
            source_from="upload",
            name=each.name,
            vid=each.vid,
            fps=0,
            width=each.width,
            height=each.height,
            duration=each.duration_ms,
        )

    def _audio(self, each: Uploaded) -> Object:
        return self._object(
            "audio",
            source_from="upload",
            vid=each.vid,
            duration=each.duration_ms,
            name=each.name,
        )
