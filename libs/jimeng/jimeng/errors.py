"""Everything that can go wrong, cut by what the caller can do about it.

    JimengError
    ├── InvalidAccount   the credential cannot be read: correct it
    ├── InvalidJob       the job is wrong: correct `field`; nothing was sent
    ├── Unreachable      nothing was sent: try again
    ├── UploadFailed     a file did not arrive: the whole job fails; nothing was bought
    ├── Refused          a certain no, with its `effect` on the task and the session
    ├── Unknown          a submit that may have been taken: ask by its submit id
    ├── NoAnswer         a read that broke off: ask again
    └── BadAnswer        a read whose answer is not the site's: ask again

`effect_of` is the one place where a code of the site gets its meaning.
"""

# ruff: noqa: N818 - they are named for what happened; JimengError says they are errors

from dataclasses import dataclass
from enum import StrEnum


class ErrorKind(StrEnum):
    """Why a task failed, in the eight words its clients know."""

    CONTENT_RISK = "content_risk"
    ACCOUNT_BLOCKED = "account_blocked"
    AUTH = "auth"
    QUOTA = "quota"
    TIMEOUT = "timeout"
    GENERATION_FAILED = "generation_failed"
    NETWORK = "network"
    UNKNOWN = "unknown"


class TaskEffect(StrEnum):
    """What becomes of the task."""

    AGAIN_ELSEWHERE = "again_elsewhere"
    AGAIN_LATER = "again_later"
    FAIL = "fail"
    UNKNOWN = "unknown"


class SessionEffect(StrEnum):
    """What becomes of the account that was asked."""

    NONE = "none"
    COOL = "cool"
    EXHAUST = "exhaust"
    EXPIRE = "expire"
    BLOCK = "block"
    LOWER = "lower_concurrency"
    CLOSE_MODEL = "close_model"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a code of the site means for the task and for the session.

    How often the task is tried again is the caller's decision: a generation that
    failed may have been charged.
    """

    kind: ErrorKind
    task: TaskEffect
    session: SessionEffect
    text: str


class JimengError(Exception):
    """Any failure of this library."""


class InvalidAccount(JimengError):
    """A credential that cannot be read. The message never repeats it."""


class InvalidJob(JimengError):
    """A job the model does not allow; `field` names what to correct."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


class Unreachable(JimengError):
    """No connection, so nothing was sent."""


class NoAnswer(JimengError):
    """A request that left and was not answered in time, or was cut."""


class BadAnswer(JimengError):
    """An answer that is not the site's: no JSON, no object, or no status in it."""

    def __init__(self, status: int, excerpt: str, why: str = "not JSON") -> None:
        super().__init__(f"HTTP {status}, {why}: {excerpt}")
        self.status = status
        self.excerpt = excerpt
        self.why = why


class Refused(JimengError):
    """A certain no. `answer` is the site's whole answer without its secrets."""

    def __init__(self, code: str, text: str, effect: Effect, answer: str) -> None:
        super().__init__(f"{code}: {text or effect.text}")
        self.code = code
        self.text = text
        self.effect = effect
        self.answer = answer


class Unknown(JimengError):
    """A submit that may or may not have been taken.

    Only a look-up by submit id tells; another session must not be tried. `code`
    is the site's, where there was one, `answer` its whole answer without secrets.
    """

    def __init__(self, why: str, *, code: str = "", answer: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.code = code
        self.answer = answer


class UploadFailed(JimengError):
    """A file that did not arrive. `temporary` says that trying again may help."""

    def __init__(
        self, name: str, why: str, *, temporary: bool = True, answer: str = ""
    ) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why
        self.temporary = temporary
        self.answer = answer


def effect_of(code: str | int) -> Effect | None:
    """The meaning of a code of the site (number, name or text key); None: unknown."""
    return _EFFECTS.get(str(code).strip().lower())


# One block for each meaning: kind, effect on the task, effect on the session, words
# for people; below it the numbers of `ret` and `fail_code`, then the names of the
# site's own enum and the keys of its localised texts, which it sends in their place.
_TABLE = """
quota again_later cool: the site limits the rate of this account
    1 1057 2014 2020 10020
    rate_limit access_limit rate_limit_non_commercial_region
quota again_elsewhere lower_concurrency: the account has too many running tasks
    1010 1310 5001
    concurrency_limit exceed_model_parallel_max
quota again_elsewhere exhaust: the account has not enough credits
    1006 4001 5000
    credit_not_enough external_no_credits
    web_dre_m10n_generate_popup_credit_ininsufficient_title
quota again_elsewhere exhaust: the account has reached its daily limit
    121101
    reached_daily_generation_limit
auth again_elsewhere expire: the login of the account is no longer valid
    1015 34010105
auth fail none: the login service does not take these parameters
    34010100
auth again_elsewhere close_model: the model is not open to the account
    3021 4003
    unsupported_by_beta no_permission
auth again_elsewhere close_model: the model's terms must be accepted on the site
    4010
    compliance_confirmation_required aigccomplianceconfirmationrequired
account_blocked again_elsewhere block: the site has punished the account
    1018
    punish_limit_aigenerate
account_blocked again_elsewhere cool: the site's risk control refused the request
    1019 1021 2035 4013 -6
    risk_not_pass commercial_shark_block security_not_pass
    web_risk_control_message_reject_generation
account_blocked fail cool: the site's risk control refused the request for good
    -4
network again_elsewhere cool: the network address is not in the account's region
    3000
network again_later none: the site could not read an uploaded file
    3020
content_risk fail none: the site's moderation refused the content
    1063 1159 2003 2004 2005 2038 2039 2041 2042 2043 2048 2050 4011
    pre_img_risk post_img_risk pre_text_risk
    text_security_block image_security_block video_security_block
    security_not_retry image_copyright_block text_copyright_block
    inputimagerisk inputtextrisk outputimagerisk outputvideorisk
    errmessage_app_outputvideorisk
    web_text_violates_community_guidelines_toast
    web_image_violates_community_guidelines_toast
generation_failed again_later none: the generation failed
    2002 5002 100402
    generate_error web_fail2generate_input_retry
generation_failed fail none: the generation failed
    1017
network again_later none: the site does not take the signature (is the clock right?)
    1014
    sign_error
generation_failed fail none: the site does not take these parameters
    1000 1001 1002 1161 1162 1189 1190 2008 2203 2204 4002
    invalid_params common_error mix_cn_en unsupported_lang
"""


def _read(table: str) -> dict[str, Effect]:
    effects: dict[str, Effect] = {}
    effect = None
    for line in table.strip().splitlines():
        if effect and line.startswith(" "):
            effects |= dict.fromkeys(line.split(), effect)
        else:
            effect = _effect(*line.split(": "))
    return effects


def _effect(words: str, text: str) -> Effect:
    kind, task, session = words.split()
    return Effect(
        kind=ErrorKind(kind),
        task=TaskEffect(task),
        session=SessionEffect(session),
        text=text,
    )


_EFFECTS = _read(_TABLE)
UNKNOWN_EFFECT = Effect(
    ErrorKind.UNKNOWN, TaskEffect.UNKNOWN, SessionEffect.NONE, "an unknown code"
)
