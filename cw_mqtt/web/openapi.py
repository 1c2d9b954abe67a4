"""The API as an OpenAPI document, from the table of its endpoints."""

from collections.abc import Iterable, Mapping
from typing import Any

from cw_mqtt.web.access import COOKIE, SCRIPT_HEADER
from cw_mqtt.web.endpoints import NAME, PARAMETERS, Endpoint, Kind
from cw_mqtt.web.schemas import COMPONENTS, TEXT, Schema, ref

API_VERSION = "1"  # of what the document says, not of the program
LOGIN_FORM = {"type": "object", "properties": {"login": TEXT, "password": TEXT}}
SCHEMES = {
    "basic": {"type": "http", "scheme": "basic"},
    "token": {"type": "http", "scheme": "bearer"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": f"{COOKIE}-INSTALLATION",
        "description": "a browser that is logged in; with TLS the name begins with __Host-",
    },
}
HEADER_OF_SCRIPTS = {
    "name": SCRIPT_HEADER,
    "in": "header",
    "description": "any value; needed when the login is a cookie alone",
    "schema": TEXT,
}
ERRORS = {
    "400": "a parameter cannot be used; `error` names it",
    "401": "the login or token is missing or wrong",
    "403": "no login or a wrong one, not allowed to change measures, or too many values",
    "404": "there is no such path",
    "429": "too many wrong passwords; `Retry-After` says how long to wait",
    "503": "the database is unavailable, or too much is asked; `Retry-After` says how long to wait",
}
TO_LOGIN = {"description": "to the login page, for a browser that is not logged in"}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The OpenAPI 3.1 document; see https://spec.openapis.org/oas/v3.1.0."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cw_mqtt",
            "version": API_VERSION,
            "description": "The API of the CitizenWatt base.",
        },
        "paths": {NAME.sub(r"{\1}", each.path): operations(each) for each in endpoints},
        "components": {"schemas": COMPONENTS, "securitySchemes": SCHEMES},
    }


def operations(endpoint: Endpoint) -> Mapping[str, Any]:
    """The same for GET and POST, but for the ways to log in."""
    parameters = [parameter(name) for name in NAME.findall(endpoint.path)]
    if endpoint.kind is Kind.CHANGE:
        parameters.append(HEADER_OF_SCRIPTS)
    both = {"summary": endpoint.about, "parameters": parameters}
    name = endpoint.answer.__name__
    answers = {"200": answer(endpoint)} | {code: error(text) for code, text in ERRORS.items()}
    secured: list[dict[str, list[str]]] = [{scheme: []} for scheme in SCHEMES]
    return {
        "get": {
            **both,
            "operationId": name,
            "security": secured,
            "responses": {**answers, "303": TO_LOGIN},
        },
        "post": {
            **both,
            "operationId": f"{name}_by_form",
            "security": [*secured, {}],  # or by the form
            "requestBody": {
                "content": {"application/x-www-form-urlencoded": {"schema": LOGIN_FORM}}
            },
            "responses": {code: each for code, each in answers.items() if code != "401"},
        },
    }


def parameter(name: str) -> dict[str, Any]:
    """A part of a path."""
    known = PARAMETERS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": known.about,
        "schema": known.schema,
        "example": known.example,
    }


def answer(endpoint: Endpoint) -> dict[str, Any]:
    """What comes back when all is right."""
    parts: dict[str, Schema] = {"data": endpoint.shape}
    if endpoint.kind is not Kind.SETTING:
        parts["rate"] = {"type": "string", "enum": ["day", "night"]}
    schema = {"type": "object", "properties": parts, "required": list(parts)}
    return {"description": endpoint.about, "content": {"application/json": {"schema": schema}}}


def error(about: str) -> dict[str, Any]:
    """What comes back when something is wrong."""
    return {"description": about, "content": {"application/json": {"schema": ref("Error")}}}
