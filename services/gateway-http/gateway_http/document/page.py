"""The page at /docs: a viewer of the document, whose files are served by us alone."""

from importlib.resources import files
from pathlib import Path

PATH = "/docs"
HEADERS = {
    # The viewer sets styles by itself; scripts are files of ours, and nothing else.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
HTML = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>jimeng-gateway: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{PATH}/swagger-ui.css">
<body>
<div id="api"></div>
<script src="{PATH}/swagger-ui-bundle.js"></script>
<script src="{PATH}/start.js"></script>
"""
_VIEWER = files("fastapi_swagger") / "resources"
FILES = {
    f"{PATH}/swagger-ui.css": Path(str(_VIEWER / "swagger-ui.css")),
    f"{PATH}/swagger-ui-bundle.js": Path(str(_VIEWER / "swagger-ui-bundle.js")),
    f"{PATH}/start.js": Path(__file__).with_name("start.js"),
}
