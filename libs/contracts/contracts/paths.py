"""Where the gateway serves things, below its address: for links in answers and news."""


def video_path(task: str, index: int = 0) -> str:
    """Return where a result is served."""
    path = f"/api/v1/tasks/{task}"
    return f"{path}/results/{index}" if index else f"{path}/video"


def poster_path(task: str, index: int = 0) -> str:
    """Return where the picture of a result is served."""
    path = f"/api/v1/tasks/{task}/poster"
    return f"{path}?index={index}" if index else path
