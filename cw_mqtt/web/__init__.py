"""Readings to people and programs: the page, the HTTP API, logins."""
