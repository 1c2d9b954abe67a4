"""The sketches compile, small, for every board and form of packet."""

import re
import subprocess

import pytest

from tests.firmware.simulator import SKETCHES

FLASH_BYTES, RAM_BYTES = 32256, 2048
SECTION = re.compile(r"\.(text|data|bss)\s+(\d+)")


def sizes(program):
    """The bytes of flash and of RAM that a program takes for itself."""
    table = subprocess.run(["avr-size", "-A", program], capture_output=True, text=True, check=True)
    section = {name: int(size) for name, size in SECTION.findall(table.stdout)}
    return section["text"] + section["data"], section["data"] + section["bss"]


@pytest.mark.parametrize(
    "program", ["receiver.elf", "sensor.elf", "FORMAT_V1.elf", "FORMAT_V1_1.elf"]
)
def test_a_sketch_compiles_without_a_warning_and_leaves_half_of_the_board_free(workshop, program):
    flash_bytes, ram_bytes = sizes(workshop.make(program))

    assert flash_bytes < FLASH_BYTES / 2
    assert ram_bytes < RAM_BYTES / 2


@pytest.mark.parametrize("board", ["mega", "leonardo"])
def test_the_receiver_compiles_for_other_boards_too(workshop, board):
    assert sizes(workshop.make("receiver.elf", board))[0] < FLASH_BYTES / 2


def test_images_for_avrdude_are_made_and_their_sizes_said(workshop):
    report = workshop.call_make("hex")

    images = [workshop.make(f"{sketch}.hex").read_text() for sketch in ("receiver", "sensor")]
    assert all(image.endswith(":00000001FF\n") for image in images)
    assert len(re.findall(r"flash +\d+ of 32256 bytes: +\d+ %", report)) == 2
    assert len(re.findall(r"RAM +\d+ of +2048 bytes: +\d+ %", report)) == 2


def test_both_sketches_have_the_same_radio_driver():
    receiver, sensor = (SKETCHES / sketch / "nrf24.h" for sketch in ("receiver", "sensor"))

    assert receiver.read_bytes() == sensor.read_bytes()


def test_more_sensors_than_the_radio_has_pipes_do_not_compile(tmp_path, workshop):
    changed = workshop.with_sensors(tmp_path, "1", "2", "3", "4", "5", "6")

    with pytest.raises(AssertionError, match="one to five ADDRESSES_END"):
        changed.make("receiver.elf")


def test_without_a_key_of_its_own_a_sensor_compiles_and_the_danger_is_named(tmp_path, workshop):
    keyless = workshop.with_sensors(tmp_path, "0xD0")
    (tmp_path / "sensor" / "sensor_key.h").unlink()

    with pytest.raises(AssertionError, match="anybody can read and forge"):
        keyless.make("sensor.elf")
    assert (tmp_path / "build" / "uno" / "sensor.elf").exists()
