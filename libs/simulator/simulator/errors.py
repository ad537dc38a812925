"""The refusals of the site: a `ret` code with the words the site puts beside it."""

from typing import Any

MESSAGES = {
    "-4": "shark check reject",
    "-6": "shark not pass reject",
    "1000": "invalid parameter",
    "1002": "common error",
    "1006": "积分不足",
    "1014": "sign error",
    "1015": "login error",
    "1018": "account punish limit ai generate",
    "1019": "shark not pass",
    "1021": "commercial shark block",
    "1310": "因目前处于使用高峰期，暂时无法提交更多任务，"  # noqa: RUF001
    "请等待其他任务完成后再尝试提交～",  # noqa: RUF001
    "2003": "risk not pass",
    "2008": "get history invalid param",
    "2038": "text security block",
    "2039": "image security block",
    "2043": "video security block",
    "3000": "region not allow",
    "3020": "download file failed",
    "3021": "unsupported by beta",
    "4010": "compliance confirmation required",
    "4011": "素材中包含人脸，无法生成",  # noqa: RUF001 - as the site writes
    "4013": "生成失败，疑似存在异常行为，请重新尝试",  # noqa: RUF001
    "5001": "credit prededuct failed",
    "100402": "生成失败",
    "121101": "reached daily generation limit",
    "34010105": "login verification failed",
}

STARLING = {
    "1006": "web_dre_m10n_generate_popup_credit_ininsufficient_title",
    "4013": "web_risk_control_message_reject_generation",
    "2003": "inputtextrisk",
    "2038": "web_text_violates_community_guidelines_toast",
    "2039": "web_image_violates_community_guidelines_toast",
    "2043": "ErrMessage_APP_OutputVideoRisk",
    "100402": "web_fail2generate_input_retry",
}

_SPOKEN_CODES = {"1310": "exceed_model_parallel_max", "-6": "4013"}
"""`fail_code` values that differ from `ret`, as seen in the wild."""


class RefusedError(Exception):
    """The site says no: HTTP 200, and the reason in `ret`."""

    def __init__(self, ret: str | int, errmsg: str | None = None) -> None:
        self.ret = str(ret)
        self.errmsg = errmsg or MESSAGES.get(self.ret, f"error {ret}")
        super().__init__(f"{self.ret} {self.errmsg}")

    @property
    def data(self) -> dict[str, Any] | None:
        """`data` of the envelope: the fail fields, filled for some codes only."""
        if self.ret == "1018":
            return None
        known = self.ret in STARLING or self.ret in _SPOKEN_CODES
        return {
            "aigc_data": None,
            "fail_code": _SPOKEN_CODES.get(self.ret, self.ret) if known else "",
            "fail_starling_key": STARLING.get(self.ret, ""),
            "fail_starling_message": self.errmsg if known else "",
        }


def invalid(why: str) -> RefusedError:
    """A parameter is wrong (ret 1000); `why` is for whoever reads the answer."""
    return RefusedError("1000", f"invalid parameter: {why}")


def failure_fields(code: str) -> dict[str, Any]:
    """How a failed job says why: as a string, as a number, or only by starling key.

    Clients must read all three, so the form follows the code: `starling:<key>` has that
    key alone, an odd code is a number, an even one a string.
    """
    if code.startswith("starling:"):
        return {"fail_starling_key": code[9:], "fail_starling_message": "生成失败"}
    fields: dict[str, Any] = {
        "fail_code": int(code) if code.isdigit() and int(code) % 2 else code,
        "fail_msg": MESSAGES.get(code, "generate failed"),
    }
    if code in STARLING:
        fields["fail_starling_key"] = STARLING[code]
        fields["fail_starling_message"] = MESSAGES[code]
    return fields
