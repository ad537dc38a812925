"""What the document says in words: what this is, its parts, and how to be let in."""

from typing import Any

ABOUT = """\
Videos and images over your own Jimeng accounts. Ask with `POST /api/v1/tasks`, follow
with `GET /api/v1/tasks/{task}` or its `events`, fetch the `video_url`.

**Keys.** Send `Authorization: Bearer gw_…`; a browser that signed in at `/auth/login`
sends its cookie. Beside each route stands the scope it needs; `admin` may everything.
Where `AUTH_ENABLED` is off, none is needed.

**Noes** are `application/problem+json` (RFC 9457) with a `type` for programs; the
compatible routes say no as the APIs do that they stand for. Every answer has an
`X-Request-Id`, which is in the gateway's log too.
"""
TAGS = {
    "tasks": "Videos and images to be made: ask, follow, fetch, cancel, make anew.",
    "events": "What happens, as it happens: server-sent events.",
    "models": "What each model can do, and what it takes.",
    "images": "Images as OpenAI's clients and the Jimeng family ask for them.",
    "compatibility": "What clients of the Jimeng family call, in that family's words.",
    "sessions": "The accounts of the pool. Their secrets come in and never go out.",
    "keys": "Who may ask, what, and how much.",
    "usage": "What was used, and what is left.",
    "webhooks": "Receivers that are told of every end, and what they were told.",
    "audit": "What operators did.",
    "sign-in": "How people sign in, and out again.",
    "status": "How the gateway is.",
}
KEY, COOKIE, LINK = "key", "cookie", "link"
SCHEMES: dict[str, dict[str, Any]] = {
    KEY: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "gw_…, ADMIN_TOKEN, or a JWT of the trusted issuer",
        "description": "An API key, shown once when it is made. What stands beside a "
        "route is the scope that it needs; one of several is enough.",
    },
    COOKIE: {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-jimeng",
        "description": "What signing in at `/auth/login` gives a browser; `jimeng` "
        "where `PUBLIC_URL` is not https. A change needs our own Origin, or "
        "`X-CSRF-Token`.",
    },
    LINK: {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "What a signed link has beside `expires`: it opens one file.",
    },
}
