"""Browsers that log in and out, programs with tokens, and the first user, over real HTTP."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete

from cw_mqtt.records import Role
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.tables import first_users, users
from cw_mqtt.store.users import Accounts
from cw_mqtt.web.credentials import browser_in, key_hash, new_token
from cw_mqtt.web.passwords import hash_password
from cw_mqtt.web.throttle import FREE_GUESSES
from tests.waiting import wait_until
from tests.web.house import AS_JSON, FORM, House
from tests.web.site import ADA, Browser, Site

MakeSite = Callable[..., Site]

CHANGES = ["/api/1/delete/by_id/0", "/api/1/delete/by_time/1/2", "/api/0/insert/1/1/0"]


@pytest.fixture
def own_site(make_site: MakeSite) -> Site:
    """A web server of the test alone; its log may be looked at."""
    return make_site().wait()


@pytest.fixture
def browser(own_site: Site) -> Browser:
    return Browser(own_site)


@pytest.fixture
def empty_site(make_site: MakeSite, engine: Engine, caplog: pytest.LogCaptureFixture) -> Site:
    """A web server that never had an account, and has printed its code."""
    with transaction(engine) as connection:
        connection.execute(delete(users))
        connection.execute(delete(first_users))
    site = make_site().wait()
    wait_until(lambda: "with the code" in caplog.text)
    return site


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses after wrong guesses that do not end while a busy machine runs the test."""
    monkeypatch.setattr("cw_mqtt.web.throttle.FIRST_PAUSE_S", 60.0)


def alert(page: str) -> str:
    """What a page says is wrong."""
    found = re.search(r'role="alert">(.*?)<', page)
    return found[1] if found else ""


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_browser_is_sent_to_the_login_page_and_back(browser: Browser) -> None:
    sent = browser.get("/?a=b")
    page = browser.get(sent.headers["Location"])
    back = browser.log_in(target="/?a=b")

    assert (sent.status, sent.headers["Location"]) == (303, "/login?next=%2F%3Fa%3Db")
    assert 'name="next" value="/?a=b"' in page.text
    assert (back.status, back.headers["Location"]) == (303, "/?a=b")
    assert browser.get("/").status == 200


def test_the_login_page_needs_no_script(browser: Browser) -> None:
    page = browser.get("/login")

    assert page.status == 200
    assert '<form method="post" action="/login">' in page.text


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "",
        "/\t/x",
        "/a\r\nX: y",
    ],
)
def test_a_login_leads_nowhere_else(browser: Browser, target: str) -> None:
    assert browser.log_in(target=target).headers["Location"] == "/"


def test_who_is_logged_in_sees_no_login_page(browser: Browser) -> None:
    browser.log_in()

    assert browser.get("/login?next=/health").headers["Location"] == "/health"


def test_a_wrong_password_is_told_and_the_login_is_kept(browser: Browser) -> None:
    answer = browser.log_in("<wrong>")

    assert answer.status == 403
    assert alert(answer.text) == "The login or the password is wrong."
    assert 'name="login" value="ada"' in answer.text
    assert "<wrong>" not in answer.text
    assert browser.cookie == ""


def test_the_cookie_is_for_this_site_and_no_script(browser: Browser) -> None:
    browser.log_in()

    name, *rest = re.split("; |=", browser.set_cookie, maxsplit=1)
    assert re.fullmatch("cw-mqtt-[0-9a-f]{8}", name)
    assert rest[0].split("; ")[1:] == ["Path=/", "Max-Age=34560000", "HttpOnly", "SameSite=Lax"]
    assert len(browser.cookie) > 43


def test_under_tls_of_a_proxy_the_cookie_is_for_tls_only(make_site: MakeSite) -> None:
    site = make_site(trusted_proxies=["127.0.0.1"]).wait()
    browser = Browser(site)

    browser.post("/login", {"login": ADA[0], "password": ADA[1]}, X_Forwarded_Proto="https")

    assert browser.cookie.startswith("__Host-cw-mqtt-")
    assert browser.set_cookie.endswith("; Secure")
    assert browser.get("/", X_Forwarded_Proto="https").status == 200
    assert browser.get("/").status == 303


def test_below_a_path_of_a_proxy_everything_stays_below_it(make_site: MakeSite) -> None:
    browser = Browser(make_site(trusted_proxies=["127.0.0.0/8"]).wait())
    below = {"X_Forwarded_Prefix": "/meter", "X_Forwarded_Proto": "https"}

    sent = browser.get("/", **below)
    page = browser.get("/login", **below)
    logged_in = browser.post("/login", {"login": ADA[0], "password": ADA[1], "next": "/"}, **below)

    assert sent.headers["Location"] == "/meter/login?next=%2F"
    assert 'action="/meter/login"' in page.text
    assert 'href="/meter/page-' in page.text
    assert logged_in.headers["Location"] == "/meter/"
    assert browser.cookie.startswith("__Secure-cw-mqtt-")
    assert "; Path=/meter; " in browser.set_cookie
    assert 'src="/meter/page-' in browser.get("/", **below).text


@pytest.mark.parametrize("path", ["/meter/login", "/login"])
def test_a_base_path_of_the_settings_may_be_part_of_the_request_or_not(
    make_site: MakeSite, path: str
) -> None:
    site = make_site(base_path="/meter").wait()

    page = Browser(site).get(path)

    assert page.status == 200
    assert 'action="/meter/login"' in page.text


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "/a/../b?", '/"><script>'])
def test_a_prefix_that_is_no_path_is_not_believed(make_site: MakeSite, prefix: str) -> None:
    browser = Browser(make_site(trusted_proxies=["127.0.0.1"]).wait())

    assert 'action="/login"' in browser.get("/login", X_Forwarded_Prefix=prefix).text


def test_the_page_of_another_site_changes_nothing(browser: Browser) -> None:
    answer = browser.post(
        "/login", {"login": ADA[0], "password": ADA[1]}, Sec_Fetch_Site="cross-site"
    )

    assert answer.status == 403
    assert browser.cookie == ""


def test_each_login_has_a_session_of_its_own(own_site: Site) -> None:
    one, two = Browser(own_site), Browser(own_site)
    one.log_in()
    two.log_in()

    one.post("/logout")

    assert one.get("/").status == 303
    assert two.get("/").status == 200


def test_a_session_of_before_a_login_is_ended_by_it(browser: Browser, own_site: Site) -> None:
    browser.log_in()
    before = browser.cookie

    browser.log_in()

    assert browser.cookie != before
    assert own_site.call("/api/time", None, headers={"Cookie": before}).status == 401


def test_logging_out_is_offered_and_ends_the_session(browser: Browser, own_site: Site) -> None:
    browser.log_in()
    cookie = browser.cookie

    page = browser.get("/")
    left = browser.post("/logout")

    assert "Log out ada" in page.text
    assert (left.status, left.headers["Location"]) == (303, "/login")
    assert browser.cookie.endswith("=")
    assert own_site.call("/api/time", None, headers={"Cookie": cookie}).status == 401


def test_a_page_got_by_basic_offers_no_logging_out(own_site: Site) -> None:
    assert "Log out" not in own_site.call("/").text


def test_a_get_does_not_log_out(browser: Browser) -> None:
    browser.log_in()

    answer = browser.get("/logout")

    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert browser.get("/").status == 200


@pytest.mark.parametrize(
    "end", [lambda accounts: accounts.set_password("ada", "x"), lambda a: a.remove("ada")]
)
def test_another_password_or_no_account_ends_sessions_and_logins_at_once(
    browser: Browser, own_site: Site, end: Callable[[Accounts], None]
) -> None:
    browser.log_in()
    assert own_site.call("/api/time").status == 200

    end(own_site.accounts)

    assert browser.get("/api/time", Accept="*/*").status == 401
    assert own_site.call("/api/time").status == 401
    assert own_site.call("/api/time", None, "POST", FORM, AS_JSON).status == 403


def test_a_session_outlives_a_restart(make_site: MakeSite, own_site: Site) -> None:
    browser = Browser(own_site)
    browser.log_in()

    own_site.stop()
    make_site().wait()

    assert browser.get("/").status == 200


@pytest.mark.parametrize("cookie", ["cw-mqtt=", "cw-mqtt=guess", "a/b,c=d", '="', "\xff=\xff"])
def test_any_other_cookie_is_nobody(own_site: Site, cookie: str) -> None:
    assert own_site.call("/api/time", None, headers={"Cookie": cookie}).status == 401


def test_a_cookie_lets_in_by_get_and_post(browser: Browser) -> None:
    browser.log_in()

    assert browser.get("/api/time").status == 200
    assert browser.post("/api/time").status == 200


def test_a_script_without_a_login_is_not_sent_to_a_page(browser: Browser) -> None:
    answer = browser.get("/api/time", Accept="application/json", X_Requested_With="chart")

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="cw_mqtt"'


def test_people_who_ask_the_api_are_sent_to_the_login_page(browser: Browser) -> None:
    answer = browser.get("/api/time")

    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=%2Fapi%2Ftime")


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_with_only_a_cookie_is_refused(house: House, path: str) -> None:
    browser = Browser(house.site)
    browser.log_in()

    bare = [browser.get(path), browser.post(path)]
    with_header = [browser.get(path, X_Requested_With="x"), browser.post(path, X_Requested_With="")]

    assert [answer.status for answer in bare] == [403, 403]
    assert "X-Requested-With" in json.loads(bare[0].text)["error"]
    assert [answer.status for answer in with_header] == [200, 200]


@pytest.mark.parametrize("path", CHANGES)
def test_who_may_only_read_changes_nothing(house: House, password_hash: str, path: str) -> None:
    house.site.accounts.set_role("ada", Role.READ)

    read = house.site.call("/api/sensors")
    answers = [house.site.call(path), house.site.call(path, None, "POST", FORM, AS_JSON)]

    house.site.accounts.set_role("ada", Role.WRITE)
    assert read.status == 200
    assert [answer.status for answer in answers] == [403, 403]
    assert "ada may only read" in json.loads(answers[0].text)["error"]


@pytest.mark.parametrize(("role", "status"), [(Role.READ, 403), (Role.WRITE, 200)])
def test_a_token_lets_a_program_in_with_its_role(house: House, role: Role, status: int) -> None:
    token = new_token()
    house.site.tokens.add(f"solar {role}", key_hash(token), role)

    read = house.site.call("/api/time", None, headers=bearer(token))
    change = house.site.call(CHANGES[0], None, "POST", headers=bearer(token))

    assert (read.status, change.status) == (200, status)


def test_a_removed_token_is_good_no_more(house: House) -> None:
    token = new_token()
    house.site.tokens.add("gone", key_hash(token), Role.WRITE)
    house.site.tokens.remove("gone")

    answers = [
        house.site.call("/api/time", None, "GET", headers=bearer(token)),
        house.site.call("/api/time", None, "POST", headers=bearer(token)),
    ]

    assert [answer.status for answer in answers] == [401, 403]
    assert "no such token" in json.loads(answers[0].text)["error"]


@pytest.mark.usefixtures("long_pauses", "caplog")
def test_too_many_wrong_passwords_are_429_and_say_how_long_to_wait(own_site: Site) -> None:
    wrong = [own_site.call("/api/time", ("ada", "wrong")).status for _ in range(FREE_GUESSES)]

    got = own_site.call("/api/time")
    posted = own_site.call("/api/time", None, "POST", FORM, AS_JSON)
    page = Browser(own_site).log_in()

    assert wrong == [401] * FREE_GUESSES
    assert [got.status, posted.status, page.status] == [429] * 3
    assert {a.headers["Retry-After"] for a in (got, posted, page)} <= {"60", "61"}
    assert "try again in" in json.loads(got.text)["error"]
    assert "try again in" in alert(page.text)


@pytest.mark.usefixtures("long_pauses", "caplog")
def test_guesses_through_a_trusted_proxy_hinder_only_who_makes_them(make_site: MakeSite) -> None:
    site = make_site(trusted_proxies=["127.0.0.1"]).wait()
    for _ in range(FREE_GUESSES):
        site.call("/api/time", ("ada", "wrong"), headers={"X-Forwarded-For": "203.0.113.9"})

    statuses = [
        site.call("/api/time", headers={"X-Forwarded-For": f"10.0.0.1, {address}"}).status
        for address in ("203.0.113.9", "203.0.113.10")
    ]

    assert statuses == [429, 200]


def test_an_old_password_logs_in_and_is_stored_anew(house: House) -> None:
    old = "salt" + "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
    house.tell(f"INSERT INTO users (login, password, is_admin) VALUES ('old', '{old}', 0)")

    statuses = [house.site.call("/api/time", ("old", word)).status for word in ("x", "secret")]

    stored = house.site.accounts.find("old")
    assert statuses == [401, 200]
    assert stored
    assert stored.password_hash.startswith("$argon2id$")
    assert house.site.call("/api/time", ("old", "secret")).status == 200


def printed_code(log: pytest.LogCaptureFixture) -> str:
    """The code that the bridge has printed."""
    said = "\n".join(record.getMessage() for record in log.get_records("setup"))
    return re.search(r"with the code ((?:[0-9a-f]{4}-){3}[0-9a-f]{4}),", said)[1]


def test_the_first_user_is_made_with_the_printed_code(
    empty_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    code = printed_code(caplog)
    browser = Browser(empty_site)
    fields = {"code": f" {code.upper()} ", "login": "eve", "password": "a long one"}

    page = browser.get("/login").text
    made = browser.post("/login", fields)

    assert "There is no user yet" in page
    assert (made.status, made.headers["Location"]) == (303, "/")
    assert browser.get("/").status == 200
    assert empty_site.accounts.find("eve").role is Role.WRITE
    assert "There is no user yet" not in Browser(empty_site).get("/login").text
    assert Browser(empty_site).post("/login", {**fields, "login": "bob"}).status == 403


@pytest.mark.usefixtures("long_pauses")
@pytest.mark.parametrize("code", ["", "0000-0000-0000-0000", "\xff"])
def test_a_wrong_code_makes_nobody_and_may_not_be_tried_for_long(
    empty_site: Site, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    printed_code(caplog)
    fields = {"code": code, "login": "eve", "password": "a long one"}

    answers = [Browser(empty_site).post("/login", fields) for _ in range(FREE_GUESSES + 1)]

    assert [answer.status for answer in answers] == [403] * FREE_GUESSES + [429]
    assert "code is wrong" in alert(answers[0].text)
    assert not empty_site.accounts.exist()


@pytest.mark.parametrize(
    ("login", "password", "problem"), [("eve", "short", "8 to 1000"), ("", "a long one", "login")]
)
def test_a_first_user_that_cannot_be_is_told_why_and_may_try_again(
    empty_site: Site,
    caplog: pytest.LogCaptureFixture,
    login: str,
    password: str,
    problem: str,
) -> None:
    fields = {"code": printed_code(caplog), "login": login, "password": password}

    refused = Browser(empty_site).post("/login", fields)
    made = Browser(empty_site).post("/login", {**fields, "login": "eve", "password": "long enough"})

    assert refused.status == 400
    assert problem in alert(refused.text)
    assert made.status == 303


def test_a_code_is_void_when_an_account_was_made_elsewhere(
    empty_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {"code": printed_code(caplog), "login": "eve", "password": "a long one"}
    empty_site.accounts.add("bob", hash_password("another one"), Role.READ)

    assert Browser(empty_site).post("/login", fields).status == 403
    assert empty_site.accounts.find("eve") is None


def test_once_there_was_a_user_no_code_makes_another_first_one(
    empty_site: Site, make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {"code": printed_code(caplog), "login": "eve", "password": "a long one"}
    empty_site.accounts.add("bob", hash_password("another one"), Role.READ)
    empty_site.accounts.remove("bob")
    refused = Browser(empty_site).post("/login", fields)
    empty_site.stop()
    caplog.clear()

    make_site()
    wait_until(lambda: "cw-mqtt user add" in caplog.text)

    assert refused.status == 403
    assert "code" not in caplog.text


def test_a_session_says_from_where_and_with_what_it_was_begun(own_site: Site) -> None:
    user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    fields = {"login": ADA[0], "password": ADA[1]}

    Browser(own_site).post("/login", fields, User_Agent=user_agent)

    (session,) = own_site.accounts.sessions(ADA[0])
    assert (session.address, session.browser) == ("127.0.0.1", "Firefox on Linux")


def test_no_code_is_printed_where_there_is_an_account(
    own_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    Browser(own_site).get("/login")

    assert "code" not in caplog.text


def test_no_secret_is_logged_or_stored_as_it_is(
    own_site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    browser, token = Browser(own_site), new_token()
    own_site.tokens.add("solar", key_hash(token), Role.READ)

    browser.log_in(ADA[1] + "x")
    browser.log_in()
    browser.get("/")
    browser.get("/nothing")
    own_site.call("/api/time", None, headers=bearer(token))
    own_site.call("/api/time", None, headers=bearer(token + "x"))

    kept = b"".join(file.read_bytes() for file in tmp_path.glob("citizenwatt.sqlite*"))
    secrets = [ADA[1], browser.cookie.partition("=")[2], token]
    assert [s for s in secrets if s in caplog.text or s.encode() in kept] == []
    assert key_hash(token).encode() in kept


WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome on Windows"),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/140 Safari/537 Edg/140",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Safari/604",
            "Safari on iPhone",
        ),
        (f"Mozilla/5.0 (Linux; Android 15) {WEBKIT} Chrome/140 Mobile Safari", "Chrome on Android"),
        ("curl/8.14.1", "curl/8.14.1"),
        ("\x1b[31m" + "x" * 9000, "[31m" + "x" * 36),
        ("", "unknown"),
    ],
)
def test_a_browser_is_known_by_its_name_and_system(user_agent: str, name: str) -> None:
    assert browser_in(user_agent) == name
