"""What the log streamer reads from the environment."""

from pathlib import Path

from pydantic import Field

from runtime import settings


class Settings(settings.Settings):
    """How often to look, and how much to take."""

    log_look_secs: float = Field(
        0.25, gt=0, description="How often followed files are looked at."
    )
    log_lines_per_sec: int = Field(
        200, ge=1, description="More lines than this of one file are only counted."
    )

    @property
    def logs_dir(self) -> Path:
        """Where nats-server, Chromium and ffmpeg write."""
        return self.data_dir / "logs"
