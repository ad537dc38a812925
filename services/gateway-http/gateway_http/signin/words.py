"""What the sign-in page says, in the reader's language. One calm sentence for a no."""

from typing import Literal

Language = Literal["en", "zh"]
Words = dict[str, str]

ENGLISH: Words = {
    "title": "Sign in",
    "with": "Sign in with {name}",
    "or": "or",
    "key": "API key",
    "hint": "It begins with gw_ and was shown once, when it was made.",
    "enter": "Sign in",
    "hello": "You are signed in",
    "as": "{name}, {role}",
    "admin": "admin",
    "operator": "operator",
    "viewer": "viewer",
    "as_key": "{name}, by API key",
    "out": "Sign out",
    "out_all": "Sign out on every device",
    "docs": "API documentation",
    "signed_out": "You are signed out.",
    "wrong_key": "This key is not known here: check it, or ask an admin for another.",
    "key_disabled": "This key is disabled: ask an admin to enable it.",
    "key_expired": "This key has expired: ask an admin for another.",
    "too_many_sign_ins": "Too many sign-ins failed: wait a minute, then try again.",
    "refused": "Signing in did not work: please start again.",
    "denied": "Signing in was ended at the provider: start again if you like.",
    "no_role": "None of your groups has a role here: ask an admin to give you one.",
    "away": "The sign-in provider does not answer: try again in a minute.",
    "unavailable": "Signing in does not work at the moment: try again in a minute.",
    "invalid_request": "Enter your API key.",
}
CHINESE: Words = {
    "title": "登录",
    "with": "使用 {name} 登录",
    "or": "或",
    "key": "API 密钥",
    "hint": "以 gw_ 开头，只在创建时显示一次。",
    "enter": "登录",
    "hello": "您已登录",
    "as": "{name}（{role}）",
    "admin": "管理员",
    "operator": "操作员",
    "viewer": "只读用户",
    "as_key": "{name}（API 密钥）",
    "out": "退出登录",
    "out_all": "在所有设备上退出登录",
    "docs": "API 文档",
    "signed_out": "您已退出登录。",
    "wrong_key": "此处没有这个密钥：请检查，或向管理员索取新的密钥。",
    "key_disabled": "该密钥已停用：请联系管理员启用。",
    "key_expired": "该密钥已过期：请向管理员索取新的密钥。",
    "too_many_sign_ins": "登录失败次数过多：请等待一分钟后再试。",
    "refused": "登录未成功：请重新开始。",
    "denied": "登录已在身份提供方处终止：如有需要请重新开始。",
    "no_role": "您所在的组在此没有角色：请联系管理员授予角色。",
    "away": "身份提供方没有响应：请一分钟后再试。",
    "unavailable": "目前无法登录：请一分钟后再试。",
    "invalid_request": "请输入您的 API 密钥。",
}
WORDS: dict[Language, Words] = {"en": ENGLISH, "zh": CHINESE}


def language_of(accepted: str) -> Language:
    """Return the language of an Accept-Language header; English unless another."""
    best: tuple[float, Language] = (0.0, "en")
    for part in accepted.split(","):
        tag, _, weight = part.strip().partition(";q=")
        short = tag.partition("-")[0].lower()
        if short in WORDS and _number(weight) > best[0]:
            best = _number(weight), "zh" if short == "zh" else "en"
    return best[1]


def _number(weight: str) -> float:
    try:
        return float(weight) if weight else 1.0
    except ValueError:
        return 0.0
