"""What the answers of the API look like, as JSON Schema."""

from typing import Any

Schema = dict[str, Any]

INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "integer", "enum": [0, 1]}
NOTHING: Schema = {"type": "null"}


def row(about: str, optional: dict[str, Schema] | None = None, **parts: Schema) -> Schema:
    """An object of these parts and no others."""
    return {
        "type": "object",
        "description": about,
        "properties": parts | (optional or {}),
        "required": list(parts),
        "additionalProperties": False,
    }


COMPONENTS: dict[str, Schema] = {
    "Sensor": row("a sensor", id=INTEGER, name=TEXT, type=TEXT, type_id=INTEGER),
    "Type": row("what is measured", id=INTEGER, name=TEXT),
    "Provider": row(
        "a contract: slopes in euros per kWh, constants in euros per month, threshold in W",
        {"start_night_rate": TEXT, "end_night_rate": TEXT},
        id=INTEGER,
        name=TEXT,
        type_id=INTEGER,
        day_slope_watt_euros=NUMBER,
        day_constant_watt_euros=NUMBER,
        night_slope_watt_euros=NUMBER,
        night_constant_watt_euros=NUMBER,
        current=SWITCH,
        threshold=INTEGER,
    ),
    "Measure": row(
        "a measure: value in W, timestamp in seconds since 1970 UTC",
        id=INTEGER,
        sensor_id=INTEGER,
        value=NUMBER,
        timestamp=INTEGER,
        night_rate=SWITCH,
    ),
    "InTariffs": row(
        "mean power in W or energy in kWh, and its two parts",
        value=NUMBER,
        day_rate=NUMBER,
        night_rate=NUMBER,
    ),
    "Cost": row("euros", value=NUMBER),
    "Error": row("what is wrong, and with which parameter", data=NOTHING, error=TEXT),
}


def ref(name: str) -> Schema:
    """One of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def or_null(*schemas: Schema) -> Schema:
    """One of these, or null."""
    return {"anyOf": [*schemas, NOTHING]}


SENSORS, SENSOR = or_null(array(ref("Sensor"))), or_null(ref("Sensor"))
TYPES = or_null(array(ref("Type")))
PROVIDERS, PROVIDER = or_null(array(ref("Provider"))), or_null(ref("Provider"))
EUROS = or_null(NUMBER)
MEASURE = or_null(ref("Measure"))
MEASURES_OR_SUM = or_null(array(ref("Measure")), ref("InTariffs"), ref("Cost"))
GROUPS = or_null(array(or_null(ref("InTariffs"), ref("Cost"))))
COUNT = or_null(INTEGER)
DONE: Schema = {"type": "boolean"}
