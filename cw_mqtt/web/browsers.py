"""A browser in a word or two, so that people know their own again."""

# the more special ones first: most call themselves Mozilla, Chrome and Safari too
NAMES = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrom": "Chrome",
    "Safari": "Safari",
    "Home Assistant": "Home Assistant",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
LONGEST = 40


def browser_in(user_agent: str) -> str:
    """Such as `Firefox on Linux`; of an unknown one how its header begins."""
    name = next((NAMES[mark] for mark in NAMES if mark in user_agent), None)
    system = next((SYSTEMS[mark] for mark in SYSTEMS if mark in user_agent), None)
    if name and system:
        return f"{name} on {system}"
    printable = "".join(filter(str.isprintable, user_agent)).strip()
    return name or printable[:LONGEST] or "unknown"
