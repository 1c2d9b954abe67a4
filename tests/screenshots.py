"""Make docs/images: `python -m tests.screenshots`, two minutes. The demo, as Chromium shows it."""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.missing import CHROMIUM, needed
from tests.program import free_port

IMAGES = Path(__file__).parents[1] / "docs/images"
PICTURES = {  # address, width, height, colours, language
    "page-desk": ("/", 1280, 860, "light", "en-GB"),
    "page-phone": ("/", 375, 812, "dark", "fr-FR"),
    "page-month": ("/month", 1280, 620, "light", "en-GB"),
}
CONFIG = """\
timezone: Europe/Paris
receivers: [{{name: demo, port: "simulated:"}}]
sensors: [{{slug: main, name: CitizenWatt, key: "000102030405060708090a0b0c0d0e0f"}}]
web: {{host: 127.0.0.1, port: {port}}}
providers:
  - name: Day and night
    threshold_w: 6000
    night_hours: ["22:30-06:30"]
    day: {{eur_per_kwh: 0.2068, eur_per_month: 15.96}}
    night: {{eur_per_kwh: 0.1656, eur_per_month: 15.96}}
"""
WITHIN_S, FIRST_VALUES_S = 600, 20


def main() -> None:
    """Run the demo with a year of history, and take its pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        Path(folder, "config.yaml").write_text(CONFIG.format(port=port), encoding="utf-8")
        command = [Path(sys.executable).with_name("cw-mqtt"), "demo", "--history", "400d"]
        with Path(folder, "said").open("wb") as said:
            demo = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        try:
            take(f"http://127.0.0.1:{port}", password(Path(folder, "said")))
        finally:
            demo.terminate()
            demo.wait()


def password(said: Path) -> str:
    """What the demo says that its login is."""
    deadline_s = time.monotonic() + WITHIN_S
    while not (found := re.search(r"password (\S+)", said.read_text("utf-8"))):
        if time.monotonic() > deadline_s:
            raise TimeoutError(said.read_text("utf-8"))
        time.sleep(1)
    time.sleep(FIRST_VALUES_S)
    return found[1]


def take(address: str, secret: str) -> None:
    """Save each picture."""
    with sync_playwright() as playwright:
        program = needed("chromium", CHROMIUM)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, (path, width, height, scheme, locale) in PICTURES.items():
            size = {"width": width, "height": height}
            context = browser.new_context(viewport=size, color_scheme=scheme, locale=locale)
            context.request.post(f"{address}/login", form={"login": "demo", "password": secret})
            page = context.new_page()
            page.goto(address + path)
            page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=75)


if __name__ == "__main__":
    main()
