"""A web server with a real database, and the measures in it."""

import json
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import insert

from cw_mqtt.records import Role
from cw_mqtt.store.engine import transaction
from cw_mqtt.store.opening import prepare_database
from cw_mqtt.store.tables import measures, sensors
from cw_mqtt.store.users import Accounts
from cw_mqtt.store.web_queries import WebQueries
from tests.home import Home
from tests.settings import NIGHT_CONTRACT
from tests.web.site import ADA, NOW_TS, Site

FORM = urlencode({"login": ADA[0], "password": ADA[1]})
AS_JSON = {"Content-Type": "application/json"}  # what the known clients call their forms


class House(Home):
    """The server, its database with one contract, and as many sensors as tests ask for."""

    def __init__(self, folder: Path, url: str | None, port: int, password_hash: str) -> None:
        super().__init__(folder, url, providers=[NIGHT_CONTRACT])
        prepare_database(self.engine, self.settings, NOW_TS)
        Accounts(self.engine).add(ADA[0], password_hash, Role.WRITE)
        self.night = False
        self.site = Site(
            self.journal,
            self.health,
            port,
            engine=self.engine,
            queries=WebQueries(self.engine, self.settings, lambda: NOW_TS),
            is_night=lambda ts: self.night,
            providers=[NIGHT_CONTRACT],
        ).wait()
        self._numbers = count(1)

    def close(self) -> None:
        self.site.stop()
        super().close()

    def sensor(self) -> int:
        """The id of a new sensor."""
        row = {"name": f"Sensor {next(self._numbers)}", "type_id": 1}
        with transaction(self.engine) as connection:
            return connection.execute(insert(sensors).values(row)).inserted_primary_key[0]

    def add(self, sensor: int, *points: tuple[int, float, int]) -> list[int]:
        """Add measures: timestamp, W, night_rate; their ids."""
        added = []
        with transaction(self.engine) as connection:
            for ts, w, night in points:
                row = {"sensor_id": sensor, "timestamp": ts, "value": w, "night_rate": night}
                added += connection.execute(insert(measures).values(row)).inserted_primary_key
        return added

    def get(self, path: str, status: int = 200) -> Any:
        """What a GET with Basic answers."""
        answer = self.site.call(path)
        assert answer.status == status, answer.text
        return json.loads(answer.text)

    def post(self, path: str, status: int = 200) -> Any:
        """What a POST answers, as the known scripts send it."""
        answer = self.site.call(path, None, "POST", FORM, AS_JSON)
        assert answer.status == status, answer.text
        return json.loads(answer.text)
