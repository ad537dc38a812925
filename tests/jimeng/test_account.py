import pytest
from hypothesis import given
from hypothesis import strategies as st

from jimeng import Account, InvalidAccount, identity

SESSION = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "region", "proxy"),
    [
        (SESSION, "cn", None),
        (f"us-{SESSION}", "us", None),
        (f"HK-{SESSION}", "hk", None),
        (f"jp-{SESSION}", "jp", None),
        (f"  sg-{SESSION}\n", "sg", None),
        (f"http://10.0.0.1:8080@{SESSION}", "cn", "http://10.0.0.1:8080"),
        (f"https://h:1@us-{SESSION}", "us", "https://h:1"),
        (f"socks://h:1@{SESSION}", "cn", "socks://h:1"),
        (f"socks4://h:1@{SESSION}", "cn", "socks4://h:1"),
        (f"socks5://u:p@ss@h:1@hk-{SESSION}", "hk", "socks5://u:p@ss@h:1"),
    ],
)
def test_a_credential_is_cut_at_its_last_at_sign(text, region, proxy):
    account = Account.parse(text)
    assert account.sessionid.get_secret_value() == SESSION
    assert account.region == region
    assert (account.proxy.get_secret_value() if account.proxy else None) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "us-",
        "topsecret value",
        "sessionid=topsecret",
        "topsecret;x",
        "topsecret,topsecret",
        "http://topsecret:80",
        "ftp://h:1@topsecret",
        "h:1@topsecret",
        "http://@topsecret",
        "http://topsecret:99999@abc",
        "http://h:1?topsecret@abc",
    ],
)
def test_a_credential_that_cannot_be_read_is_refused_without_repeating_it(text):
    with pytest.raises(InvalidAccount) as caught:
        Account.parse(text)
    assert "topsecret" not in str(caught.value)


@given(st.text(max_size=80))
def test_any_text_is_an_account_or_a_typed_error(text):
    try:
        account = Account.parse(text)
    except InvalidAccount:
        return
    assert account.sessionid.get_secret_value() in text


@given(st.text())
def test_an_identity_is_a_true_number_and_the_same_each_time(seed):
    made = identity(seed)
    assert made == identity(seed)
    assert 7 * 10**18 <= int(made.web_id) < 8 * 10**18
    assert len(made.web_id) == 19
    assert len(made.user_id) == 32
    assert int(made.user_id, 16) >= 0


def test_identities_are_not_rounded_as_floats_would_be():
    ids = {identity(str(n)).web_id for n in range(50)}
    assert len(ids) == 50
    assert sum(each.endswith("000") for each in ids) < 5


def test_a_stored_identity_is_kept():
    account = Account.parse(SESSION, web_id="7" + "1" * 18, user_id="ab" * 16)
    assert account.web_id == "7" + "1" * 18
    assert account.user_id == "ab" * 16


@pytest.mark.parametrize("web_id", ["8" * 19, "7123", "7.5e18", "7" + "1" * 19])
def test_a_web_id_of_another_shape_is_refused(web_id):
    with pytest.raises(InvalidAccount):
        Account.parse(SESSION, web_id=web_id)


def test_cookies_carry_the_session_and_the_same_web_id_as_the_query():
    account = Account.parse(SESSION)
    cookies = dict(account.cookies())
    assert cookies["_tea_web_id"] == account.web_id
    assert cookies["is_staff_user"] == "false"
    assert cookies["store-region"] == "cn-gd"
    assert {cookies[n] for n in ("sid_tt", "sessionid", "sessionid_ss")} == {SESSION}
    assert cookies["uid_tt"] == cookies["uid_tt_ss"] == account.user_id
    assert f"; sessionid={SESSION};" in account.cookie_header()


def test_international_cookies_name_no_store_region():
    assert "store-region" not in dict(Account.parse(f"us-{SESSION}").cookies())


def test_an_account_shows_no_secret():
    account = Account.parse(f"http://user:hunter2@h:1@{SESSION}")
    assert SESSION not in repr(account)
    assert "hunter2" not in repr(account)
    assert set(account.secrets()) == {SESSION, "http://user:hunter2@h:1"}
