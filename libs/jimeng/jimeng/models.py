"""All models of the site: a name stands for one of them, and so for its kind."""

from jimeng.errors import InvalidJob
from jimeng.image_models import IMAGE_MODELS, ImageModel
from jimeng.video_models import VIDEO_MODELS, VideoModel

Model = VideoModel | ImageModel

_ALL: tuple[Model, ...] = (*VIDEO_MODELS, *IMAGE_MODELS)

MODELS: dict[str, Model] = {name: model for model in _ALL for name in model.names}
"""Public names, all of them, and their models."""

_BY_KEY = {model.key.lower(): model for model in _ALL}


def find_model(name: str) -> Model:
    """The model of a public name, or of the site's own key.

    Raises InvalidJob for any other: a wrong name must not buy another model. Only the
    whole name counts, never how it begins.
    """
    word = name.strip().lower()
    if model := MODELS.get(word) or _BY_KEY.get(word):
        return model
    raise InvalidJob("model", f"unknown model {name[:100]!r}")
