"""The sign-in page: plain HTML that works without a script."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from string import Template
from urllib.parse import urlencode

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse

from gateway_http.signin.badges import Badge
from gateway_http.signin.goal import HOME, local
from gateway_http.signin.words import WORDS, language_of

STYLE = """
:root { color-scheme: light dark; --line: #8885; --card: #fff; --back: #f3f4f6;
  --ink: #1b1f24; --dim: #57606a; --main: #2457c5; --no: #a40e26; --no-back: #fdecee; }
@media (prefers-color-scheme: dark) { :root { --card: #1c2128; --back: #111418;
  --ink: #e6e9ed; --dim: #9aa4af; --main: #6c9bff; --no: #ff9aa8;
  --no-back: #3a1a20; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, "Noto Sans CJK SC", "PingFang SC", sans-serif; }
main { width: min(24rem, 100%); padding: 2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 12px; }
h1 { margin: 0 0 .25rem; font-size: 1.4rem; }
.of { margin: 0 0 1.5rem; color: var(--dim); }
.told { margin: 0 0 1.5rem; padding: .75rem 1rem; border-radius: 8px;
  border: 1px solid var(--line); }
.no { color: var(--no); background: var(--no-back); border-color: var(--no); }
label { display: block; font-weight: 600; }
small { display: block; color: var(--dim); margin: .25rem 0 1rem; }
input { width: 100%; margin-top: .25rem; padding: .6rem .75rem; font: inherit;
  color: inherit; background: transparent; border: 1px solid var(--dim);
  border-radius: 8px; }
button, .button { display: block; width: 100%; padding: .65rem 1rem; font: inherit;
  font-weight: 600; text-align: center; text-decoration: none; cursor: pointer;
  border-radius: 8px; border: 1px solid var(--main); color: var(--main);
  background: transparent; }
.button, .first { color: var(--card); background: var(--main); }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
.or { display: flex; align-items: center; gap: .75rem; margin: 1.25rem 0;
  color: var(--dim); }
.or::before, .or::after { content: ""; flex: 1; border-top: 1px solid var(--line); }
form + form { margin-top: .75rem; }
.foot { margin: 1.5rem 0 0; text-align: center; } a { color: var(--main); }
"""
FRAME = Template("""<!doctype html>
<html lang="$lang">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · jimeng-gateway</title>
<link rel="icon" href="data:,">
<style>$style</style>
<main>
<h1>$title</h1>
<p class="of">jimeng-gateway</p>
$told$body
</main>
""")
TOLD = Template('<p class="told $kind" role="$role" id="told">$text</p>\n')
PROVIDER = Template("""<a class="button" href="$where">$text</a>
<div class="or">$otherwise</div>
""")
KEY = Template("""<form method="post" action="/auth/login">
<label for="key">$key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required
 maxlength="512" spellcheck="false" aria-describedby="hint$also">
<small id="hint">$hint</small>
<input type="hidden" name="next" value="$goal">
<button$first>$enter</button>
</form>""")
SIGNED_IN = Template("""<p class="told">$who</p>
<form method="post" action="/auth/logout"><button class="first">$out</button></form>
<form method="post" action="/auth/logout"><input type="hidden" name="everywhere"
 value="true"><button>$out_all</button></form>
<p class="foot"><a href="/docs">$docs</a></p>""")


@dataclass(frozen=True)
class Told:
    """A sentence on the page, by its word; a no, or not."""

    word: str
    status: int = 200
    headers: Mapping[str, str] | None = None


def sign_in_page(
    asking: HTTPConnection,
    provider: str | None,
    goal: str | None = None,
    told: Told | None = None,
) -> HTMLResponse:
    """Offer the provider, and the field for a key."""
    words = _words(asking)
    goal = local(goal)
    body = ""
    if provider:
        via = urlencode({"via": "provider"} | ({} if goal == HOME else {"next": goal}))
        body = PROVIDER.substitute(
            where=escape(f"/auth/login?{via}"),
            text=escape(words["with"].format(name=provider)),
            otherwise=words["or"],
        )
    body += KEY.substitute(
        {name: words[name] for name in ("key", "hint", "enter")},
        goal=escape(goal),
        also=" told" if told else "",
        first="" if provider else ' class="first"',
    )
    return _page(asking, words["title"], body, told)


def signed_in_page(asking: HTTPConnection, badge: Badge, end: str) -> HTMLResponse:
    """Say who somebody is, and offer to sign out; `end` is where that may lead."""
    words = _words(asking)
    sentence = words["as" if badge.role else "as_key"]
    role = words[badge.role] if badge.role else ""
    body = SIGNED_IN.substitute(
        {name: words[name] for name in ("out", "out_all", "docs")},
        who=escape(sentence.format(name=badge.name, role=role)),
    )
    return _page(asking, words["hello"], body, None, end)


def _words(asking: HTTPConnection) -> dict[str, str]:
    return WORDS[language_of(asking.headers.get("accept-language", ""))]


def _page(
    asking: HTTPConnection, title: str, body: str, told: Told | None, end: str = ""
) -> HTMLResponse:
    kind, role = ("no", "alert") if told and told.status >= 400 else ("", "status")  # noqa: PLR2004 - HTTP's errors
    text = _words(asking)[told.word] if told else ""
    shown = TOLD.substitute(kind=kind, role=role, text=text) if told else ""
    page = FRAME.substitute(
        lang="zh-CN" if _words(asking) is WORDS["zh"] else "en",
        title=title,
        style=STYLE,
        told=shown,
        body=body,
    )
    headers = {
        "Content-Security-Policy": f"{_POLICY} form-action 'self' {end}".rstrip(),
        # Without the origin, our own guard would take the form for a stranger's.
        "Referrer-Policy": "same-origin",
        "Vary": "Accept-Language, Cookie",
        **(told.headers or {} if told else {}),
    }
    return HTMLResponse(page, told.status if told else 200, headers)


_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; "
    f"frame-ancestors 'none'; base-uri 'none';"
)
