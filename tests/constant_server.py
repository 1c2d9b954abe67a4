"""CherryPy as it comes, answering a constant: the baseline of the web's bench.

python tests/constant_server.py PORT
"""

import sys

import cherrypy


class Root:
    """Whatever is asked."""

    @cherrypy.expose
    def default(self, *_path: str, **_fields: str) -> bytes:
        """The same for everybody."""
        cherrypy.response.headers["Content-Type"] = "application/json"
        return b'{"data": 1}'


if __name__ == "__main__":
    cherrypy.quickstart(
        Root(),
        config={
            "global": {
                "server.socket_port": int(sys.argv[1]),
                "environment": "production",
                "log.screen": False,
            }
        },
    )
