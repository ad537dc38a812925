"""How a webhook is signed, and what an answer to it means."""

import hmac
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from contracts.webhooks import Deliver, DueDelivery
from fetch import Answer
from notifier.domain import Attempt, headers, seconds_until

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "whsec_" + b64encode(b"k" * 32).decode()
BODY = '{"prompt": "一只猫"}'.encode()
COMMAND = Deliver(delivery="msg_1", n=3, task="t1")


def signed(*secrets, now=None):
    due = DueDelivery(occasion="task.failed", url="http://a.example", secrets=secrets)
    return dict(headers(COMMAND, due, BODY, now or datetime.now(UTC)))


def test_others_find_it_signed():
    assert Webhook(SECRET).verify(BODY, signed(SECRET)) == {"prompt": "一只猫"}


def test_a_secret_of_any_text_is_a_key_as_it_is():
    told = signed("geheim")
    assert Webhook(b64encode(b"geheim").decode()).verify(BODY, told)
    earlier = hmac.new(b"geheim", BODY, "sha256").hexdigest()
    assert told["X-Jimeng-Signature"] == f"sha256={earlier}"


def test_while_a_secret_is_replaced_both_hold():
    other = "whsec_" + b64encode(b"o" * 24).decode()
    told = signed(SECRET, other)
    for each in (SECRET, other):
        assert Webhook(each).verify(BODY, told)


def test_nothing_can_be_changed_and_nothing_sent_again_later():
    told = signed(SECRET)
    for body, more in (
        (BODY + b" ", {}),
        (BODY, {"webhook-id": "msg_2"}),
        (BODY, {"webhook-timestamp": str(int(told["webhook-timestamp"]) + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, told | more)
    old = signed(SECRET, now=datetime.now(UTC) - timedelta(minutes=6))
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(BODY, old)


def test_without_a_secret_nothing_is_signed():
    told = signed()
    assert "signature" not in str(told).lower()
    assert told["webhook-id"] == told["X-Jimeng-Delivery-Id"] == "msg_1"
    assert told["X-Jimeng-Attempt"] == "3"


@pytest.mark.parametrize(
    ("status", "delivered", "gone"),
    [
        (200, True, False),
        (299, True, False),
        (199, False, False),
        (301, False, False),
        (307, False, False),
        (404, False, False),
        (410, False, True),
        (500, False, False),
    ],
)
def test_only_a_yes_is_a_yes(status, delivered, gone):
    attempt = Attempt(COMMAND, DueDelivery(url="http://a.example"))
    fact = attempt.answered(Answer(status, "words"), BODY, 0.25, NOW)
    assert (".delivered" in fact.subject) is delivered
    assert getattr(fact, "gone", False) is gone
    assert (fact.status, fact.response, fact.took_ms) == (status, "words", 250)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 30, 999999999.0),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 11:00:00", None),
        ("soon", None),
        ("-1", None),
    ],
)
def test_a_receiver_says_when_to_come_again(text, seconds):
    assert seconds_until(text, NOW) == seconds
