"""Templates, the files beside them, and in which language a visitor reads."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import cherrypy
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cw_mqtt.web.access import RAW_COOKIE, Caller, base_path
from cw_mqtt.web.credentials import cookie
from cw_mqtt.web.page.language import LANGUAGES, Language, preferred

FOLDER = Path(__file__).parent
ASSETS = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
LANGUAGE_COOKIE = "cw-mqtt-language"
LANGUAGE_KEPT_S = 400 * 86400


def hashed(file: str) -> str:
    """The name under which browsers may keep a file for ever: it changes with what is in it."""
    stem, _, suffix = file.rpartition(".")
    return f"{stem}-{hashlib.sha256((FOLDER / file).read_bytes()).hexdigest()[:10]}.{suffix}"


ADDRESSES = {file: f"/{hashed(file)}" for file in ASSETS}

TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks at a page, what stands in its address after the `?`, and in which language."""

    caller: Caller | None
    query: Mapping[str, str]
    t: Language

    @property
    def logged_in(self) -> str | None:
        """Who can log out here, and look after an account."""
        return self.caller.name if self.caller and self.caller.by_cookie else None


def visit(caller: Caller | None = None) -> Visit:
    """The request that CherryPy has in hand, as a page's visit."""
    return Visit(caller, dict(parse_qsl(cherrypy.request.query_string)), language())


def language() -> Language:
    """The one that was switched to, else what the browser asks for."""
    chosen = cookie(cherrypy.request.wsgi_environ.get(RAW_COOKIE, ""), LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return LANGUAGES[chosen]
    return preferred(cherrypy.request.headers.get("Accept-Language", ""))


def switch_language() -> str | None:
    """Where to go on when the address asks for another language, which is kept in a cookie."""
    request = cherrypy.request
    query = parse_qsl(request.query_string)
    if (wanted := dict(query).get("lang")) not in LANGUAGES:
        return None
    kept = f"Path={base_path() or '/'}; Max-Age={LANGUAGE_KEPT_S}; SameSite=Lax"
    cherrypy.response.headers["Set-Cookie"] = f"{LANGUAGE_COOKIE}={wanted}; {kept}"
    rest = urlencode([(name, value) for name, value in query if name != "lang"])
    path = quote(request.path_info)
    return f"{path}?{rest}" if rest else path


def switched(code: str) -> str:
    """The address of the same view in another language."""
    query = dict(parse_qsl(cherrypy.request.query_string))
    return f"?{urlencode({**query, 'lang': code})}"


TEMPLATES.globals |= {
    "base": base_path,
    "asset": lambda file: base_path() + ADDRESSES[file],
    "switched": switched,
}


def render(template: str, t: Language, title: str, **values: Any) -> str:
    """A page as HTML; what is not for all pages has a default."""
    usual = {"here": "", "pill": None, "logged_in": None, "is_demo": False}
    return TEMPLATES.get_template(template).render(
        {**usual, "t": t, "title": title, **values},
        other=LANGUAGES["en" if t.code == "fr" else "fr"],
    )
