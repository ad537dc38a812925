"""The draft of a video job: its one input, and the files it refers to."""

from collections.abc import Sequence

from jimeng.jobs import Mode, VideoJob
from jimeng.materials import Uploaded
from jimeng.prompts import unified
from jimeng.tree import Object, Tree, json_of

FPS = 24  # the page offers no other
_MATERIAL_CODES = {"image": 1, "video": 2, "audio": 3}


def extend(job: VideoJob) -> Object:
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


def metrics(job: VideoJob, tree: Tree) -> Object:
    """The page's own statistics; the site repeats them and checks nothing."""
    omni = job.mode is Mode.OMNI
    found: Object = {
        "promptSource": "custom",
        "isDefaultSeed": 1 if job.seed is None else 0,
        "originSubmitId": tree.submit_id,
        "isRegenerate": False,
        "enterFrom": "click",
        "position": "page_bottom_box",
        "functionMode": "omni_reference" if omni else "first_last_frames",
        "sceneOptions": json_of([_scene(job)]),
    }
    return found | ({"videoStage": "draft"} if job.model.draft_mode else {})


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


def build(
    job: VideoJob, materials: Sequence[Uploaded], metrics: str, tree: Tree
) -> Object:
    """The whole draft; it repeats the metrics word for word."""
    return _Draft(job, materials, tree).build(metrics)


class _Draft:
    """Builds the draft of one job."""

    def __init__(
        self, job: VideoJob, materials: Sequence[Uploaded], tree: Tree
    ) -> None:
        self._job = job
        self._materials = materials
        self._tree = tree
        self._object = tree.object
        omni = job.mode is Mode.OMNI
        # Unified references came with 3.3.9, long after the rest.
        self._version = job.model.draft_version if omni else job.model.min_version

    def build(self, metrics: str) -> Object:
        return self._tree.draft(
            self._component(metrics),
            version=self._job.model.draft_version,
            least=self._version,
            features=self._features(),
        )

    def _features(self) -> list[str]:
        if self._job.model.draft_mode:
            return ["AIGC_Video_Seedance25ResultAction"]
        return ["AIGC_Video_UnifiedEdit"] if self._job.mode is Mode.OMNI else []

    def _component(self, metrics: str) -> Object:
        return self._object(
            "video_base_component",
            min_version="1.0.0",
            aigc_mode="workbench",
            metadata=self._tree.metadata(),
            generate_type="gen_video",
            abilities=self._object(gen_video=self._gen_video(metrics)),
            process_type=1,
        )

    def _gen_video(self, metrics: str) -> Object:
        job = self._job
        params = self._object(
            video_gen_inputs=[self._input()],
            video_aspect_ratio=job.ratio,
            seed=self._tree.seed(job.seed),
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
                return {name: self._tree.image(each) for name, each in pairs}

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
        build = {"image": self._tree.image, "video": self._video, "audio": self._audio}
        inner = build[each.kind](each)
        return self._object(material_type=each.kind, **{f"{each.kind}_info": inner})

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
