"""What the sections of the settings are made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cw_mqtt.config.values import expected

Text = Annotated[str, Field(min_length=1), expected("a text")]
Name = Annotated[
    str, Field(min_length=1, max_length=255), expected("a text of at most 255 characters")
]
Switch = Annotated[bool, expected("true or false")]
Count = Annotated[int, Field(ge=1), expected("a whole number from 1")]
Amount = Annotated[float, Field(ge=0), expected("a number from 0")]


class Section(BaseModel):
    """A part of the settings: frozen, and an unknown name in it is a mistake."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )
