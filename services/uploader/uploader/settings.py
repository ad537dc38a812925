"""What the uploader reads from its environment."""

from pydantic import Field

from runtime import settings


class Settings(
    settings.Settings,
    settings.UpstreamSettings,
    settings.StorageSettings,
    settings.DeadlineSettings,
):
    """The site, and where the references lie."""

    upload_concurrency: int = Field(
        8, ge=1, description="Tasks whose references are uploaded at a time."
    )
    reference_patience_secs: float = Field(
        300,
        ge=0,
        le=600,
        description="How long a reference's URL that does not answer is tried again.",
    )
