"""The login page, for browsers without JavaScript too."""

import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qsl, quote

import cherrypy

from cw_mqtt.errors import UsageError
from cw_mqtt.web.access import Access, NotLetInError, base_path
from cw_mqtt.web.auth import TooManyGuessesError
from cw_mqtt.web.endpoints import RefusedError
from cw_mqtt.web.first_user import FirstUser
from cw_mqtt.web.page.rendering import language, render

PATH = "/login"
# Of this server: not //host, nor \host, which browsers take for the same.
LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")
WRONG_CODE = "The code is wrong, or there is already a user."


class LoginPage:
    """Begins and ends sessions; makes the first user with the code that the bridge printed."""

    def __init__(self, access: Access, first_user: FirstUser) -> None:
        self._access = access
        self._first_user = first_user

    def html(self) -> str:
        """The form; who is logged in already goes on."""
        target = local(dict(parse_qsl(cherrypy.request.query_string)).get("next", ""))
        with suppress(RefusedError):
            if self._access.session():
                return see(target)
        return self._form(target)

    def log_in(self, fields: Mapping[str, str]) -> str:
        """What the form leads to: the page that was wanted, or the form with what is wrong."""
        target = local(fields.get("next", ""))
        login, password = fields.get("login", ""), fields.get("password", "")
        status, problem = 403, WRONG_CODE
        try:
            if "code" in fields:
                code = fields["code"]
                owner = self._first_user.make(code, login, password, self._access.address())
            else:
                owner = self._access.log_in(login, password)
            if owner:
                self._access.begin_session(owner)
                return see(target)
        except NotLetInError as error:
            problem = str(error)
        except UsageError as error:
            status, problem = 400, str(error)
        except TooManyGuessesError as error:
            status, problem = 429, str(error)
            cherrypy.response.headers["Retry-After"] = str(error.pause_s)
        cherrypy.response.status = status
        return self._form(target, login, problem)

    def log_out(self, _fields: Mapping[str, str]) -> str:
        """End the session."""
        self._access.end_session()
        return see(PATH)

    def _form(self, target: str, login: str = "", problem: str = "") -> str:
        t = language()
        is_first = self._first_user.is_wanted
        values = {"target": target, "login": login, "problem": problem, "is_first": is_first}
        return render("login.html", t, t("log_in"), **values)


def login_address(target: str) -> str:
    """The path of the login page that leads to `target`."""
    return f"{PATH}?next={quote(target, safe='')}"


def local(target: str) -> str:
    """The target if it is on this server, else the first page."""
    return target if LOCAL_PATH.fullmatch(target) else "/"


def see(path: str) -> str:
    """Send the browser to a path of this site; the answer is its body."""
    cherrypy.response.status = 303
    cherrypy.response.headers["Location"] = base_path() + path
    return ""
