"""How values are formatted and coloured: units, thresholds, mappings, and overrides for single fields."""

import re
from datetime import datetime, timezone

COLOURS = {
    "green": "#3f9e4d", "red": "#d13b4b", "orange": "#ef843c", "yellow": "#d6ad0c", "blue": "#3274d9", "purple": "#8f3bb8",
    "text": "#4a5160", "transparent": "none",
}
PALETTE = ["#3f9e4d", "#d6ad0c", "#3aa3c4", "#ef843c", "#d13b4b", "#3274d9", "#b04a9c", "#6b6fc4", "#7a9a3a", "#a4703c", "#5b8a8a", "#8c8c8c"]
SIZES = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")]
NUMBERS = [(1e9, " B"), (1e6, " M"), (1e4, " K")]
TIMES = [(86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (0, "µs")]


def plain(value, decimals=None):
    if decimals is None:
        decimals = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{decimals}f}"


def written(value, unit, decimals=None):
    if value != value:
        return "NaN"
    if unit == "percentunit":
        return plain(value * 100, decimals) + " %"
    if unit == "bytes":
        size, name = next((pair for pair in SIZES if abs(value) >= pair[0]), SIZES[-1])
        return f"{plain(value / size, decimals)} {name}"
    if unit == "s":
        size, name = next(pair for pair in TIMES if abs(value) >= pair[0])
        return "0 s" if value == 0 else f"{plain(value / (size or 1e-6), decimals)} {name}"
    if unit in ("short", "none"):
        size, name = next(((size, name) for size, name in NUMBERS if abs(value) >= size), (1, ""))
        return plain(value / size, decimals if size == 1 else 1) + name
    return plain(value, decimals) + {"reqps": " req/s", "cps": "/s"}[unit]


class Looks:
    """The settings of one panel."""

    def __init__(self, panel):
        config = panel["fieldConfig"]
        self.defaults = config["defaults"]
        self.overrides = config["overrides"]

    def of(self, name, key, otherwise=None):
        """The value of an override for a field."""
        for override in self.overrides:
            matcher = override["matcher"]
            pattern = matcher["options"]
            fits = re.search(pattern.strip("/"), name) if matcher["id"] == "byRegexp" else pattern == name
            for property in override["properties"] if fits else []:
                if property["id"] == key:
                    return property["value"]
        return otherwise

    def title(self, name):
        return self.of(name, "displayName", name)

    def unit(self, name):
        return self.of(name, "unit", self.defaults["unit"])

    def mapped(self, value):
        for mapping in self.defaults.get("mappings", []):
            found = mapping["options"].get(f"{value:g}")
            if found:
                return found
        return {}

    def write(self, name, value):
        return self.mapped(value).get("text") or written(value, self.unit(name), self.defaults.get("decimals"))

    def steps(self):
        """Thresholds that have a bound and a colour."""
        steps = self.defaults["thresholds"]["steps"]
        return [(step["value"], COLOURS.get(step["color"], step["color"])) for step in steps if step["value"] is not None]

    def colour(self, value):
        """The colour of a value by its mapping, otherwise by the thresholds."""
        mapped = self.mapped(value).get("color")
        steps = self.defaults["thresholds"]["steps"]
        reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
        name = mapped or reached[-1]
        return COLOURS.get(name, name)

    def line(self, name, number):
        colour = self.of(name, "color")
        return COLOURS[colour["fixedColor"]] if colour else PALETTE[number % len(PALETTE)]


def cell(text, unit, decimals):
    """A cell of a table: numbers by their unit, moments short, other text as it is."""
    try:
        return written(float(text), unit, decimals)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone(timezone.utc).strftime("%Y-%m-%d") if re.match(r"\d{4}-\d\d-\d\d", text) else text
    except ValueError:
        return text
