"""What the signer reads from its environment."""

from pathlib import Path

from pydantic import Field

from runtime import settings

# The page and what its scripts are loaded from, as browsers were seen to ask for them.
SITE_HOSTS = (
    "jianying.com",
    "capcut.com",
    "capcutapi.com",
    "vlabstatic.com",
    "bytescm.com",
    "byteimg.com",
)


class Settings(settings.Settings, settings.UpstreamSettings, settings.PermitSettings):
    """The site, the permit's times, and the browser."""

    chromium_path: Path | None = Field(
        None, description="The browser's program; empty: it is searched."
    )
    browser_idle_secs: float = Field(
        600, gt=0, description="A session's page is closed when unused for so long."
    )
    browser_ready_secs: float = Field(
        20, gt=0, description="How long the site's page may take to load and sign."
    )
    browser_hosts: settings.CommaList = Field(
        SITE_HOSTS,
        description="Domains the site's page may reach; not used with an upstream.",
    )
    max_contexts: int = Field(
        8, ge=1, description="How many sessions may have a page open at a time."
    )
    page_concurrency: int = Field(
        8, ge=1, description="Submits through pages at a time."
    )
    plain_concurrency: int = Field(16, ge=1, description="Plain submits at a time.")

    @property
    def chromium_log(self) -> Path:
        """Where the browser's own messages go; the log streamer follows it."""
        return self.data_dir / "logs" / "chromium.log"
