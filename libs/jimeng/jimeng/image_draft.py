"""The draft of an image job: made from text, or a blend of images and text."""

from collections.abc import Sequence

from jimeng.account import Region
from jimeng.image_jobs import ImageJob
from jimeng.image_models import PER_JOB, RATIO_CODES
from jimeng.materials import Uploaded
from jimeng.tree import Object, Tree, json_of
from jimeng.upstream import PLACES

STRENGTH = 0.5  # where the page's slider stands
_EDIT = "byte_edit"
_TEXT_VERSION, _BLEND_VERSION = "3.0.2", "3.2.9"


def extend(job: ImageJob) -> Object:
    """What the submit is billed as: of images the model alone."""
    return {"root_model": job.model.key}


def metrics(job: ImageJob, region: Region, tree: Tree) -> Object:
    """The page's own statistics; the site checks nothing of them."""
    key, site = job.model.key, PLACES[region].site
    scene = {
        "type": "image",
        "scene": "ImageBasicGenerate",
        "modelReqKey": key,
        "resolutionType": job.resolution,
        "abilityList": [
            {
                "abilityName": _EDIT,
                "strength": STRENGTH,
                "source": {"imageUrl": f"blob:{site}/{tree.new_id()}"},
            }
            for _ in job.files
        ],
        "benefitCount": PER_JOB,
        "reportParams": {
            "enterSource": "generate",
            "vipSource": "generate",
            "extraVipFunctionKey": f"{key}-{job.resolution}",
            "useVipFunctionDetailsReporterHoc": True,
        },
    }
    return {
        "promptSource": "custom",
        "generateCount": 1,
        "enterFrom": "click",
        "position": "page_bottom_box",
        "sceneOptions": json_of([scene]),
        "isBoxSelect": False,
        "isCutout": False,
        "generateId": tree.submit_id,
        "isRegenerate": False,
    }


def build(job: ImageJob, materials: Sequence[Uploaded], tree: Tree) -> Object:
    """The whole draft."""
    name = "blend" if materials else "generate"
    core = _core(job, tree)
    ability = _blend(core, materials, tree) if materials else _generate(core, tree)
    option = tree.object(generate_all=False)
    component = tree.object(
        "image_base_component",
        min_version=_TEXT_VERSION,
        aigc_mode="workbench",
        metadata=tree.metadata(),
        generate_type=name,
        # In the page `gen_option` stands beside the ability, not inside it.
        abilities=tree.object(**{name: ability, "gen_option": option}),
        process_type=1,
    )
    return tree.draft(
        component,
        version=job.model.draft_version,
        least=_BLEND_VERSION if materials else _TEXT_VERSION,
        features=[],
    )


def _core(job: ImageJob, tree: Tree) -> Object:
    width, height = job.size
    return tree.object(
        model=job.model.key,
        prompt="##" * len(job.files) + job.prompt,  # a mark for each image
        negative_prompt="",
        seed=tree.seed(job.seed),
        sample_strength=STRENGTH,
        image_ratio=RATIO_CODES[job.ratio],
        large_image_info=tree.object(
            min_version=_TEXT_VERSION,
            height=height,
            width=width,
            resolution_type=job.resolution,
        ),
        intelligent_ratio=False,
        generate_type=0,
    )


def _generate(core: Object, tree: Tree) -> Object:
    return tree.object(core_param=core)


def _blend(core: Object, materials: Sequence[Uploaded], tree: Tree) -> Object:
    """Several images came later than one; the whole then says so."""
    several = {"min_version": _BLEND_VERSION} if len(materials) > 1 else {}
    places = range(len(materials))
    return tree.object(
        min_features=[],
        **several,
        core_param=core,
        ability_list=[_edit(each, tree) for each in materials],
        prompt_placeholder_info_list=[tree.object(ability_index=at) for at in places],
        postedit_param=tree.object(generate_type=0),
    )


def _edit(each: Uploaded, tree: Tree) -> Object:
    # Here the page tells no size and no format of an image.
    bare = each.model_copy(update={"width": 0, "height": 0, "format": ""})
    return tree.object(
        name=_EDIT,
        image_uri_list=[each.uri],
        image_list=[tree.image(bare)],
        strength=STRENGTH,
    )
