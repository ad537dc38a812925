"""What the downloader reads from its environment."""

from pydantic import Field

from runtime import settings

# Where the site's results were seen to lie (protocol 1.1), and its own domains.
RESULT_HOSTS = (
    "byteimg.com",
    "toutiaoimg.com",
    "vlabvod.com",
    "jimeng.com",
    "douyinpic.com",
    "365yg.com",
    "jianying.com",
    "capcut.com",
)


class Settings(
    settings.Settings,
    settings.UpstreamSettings,
    settings.StorageSettings,
    settings.DeadlineSettings,
):
    """The site, where results come from, and where they go."""

    download_concurrency: int = Field(
        8, ge=1, description="Tasks whose results are stored at a time."
    )
    download_proxy: bool = Field(
        default=True, description="Fetch results through the session's proxy too."
    )
    download_hosts: settings.CommaList = Field(
        RESULT_HOSTS,
        description="Domains results may come from; not used with an upstream.",
    )
    ffmpeg_path: str = Field(
        "", description="The ffmpeg that makes posters; empty: it is searched."
    )
    download_max_bytes: int = Field(
        2 * 1024**3, ge=1, description="No result is larger than this."
    )
