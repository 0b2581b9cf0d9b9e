"""A page of some panels of a dashboard, 1600 by 900 pixels."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from kinds import KINDS
from looks import Looks

# By their ids, line by line: a line has the height of its highest panel, and its panels share the width as on the dashboard.
PANELS = {
    "service": [[5, 15, 16, 17, 18, 20], [1, 2], [3, 6]],
    "slo": [[1, 2, 3, 5], [4, 6], [8, 9]],
    "configuration": [[7, 8, 9, 10], [1, 2], [3, 4]],
    "installations": [[1, 2, 3, 4, 5], [7, 10], [13, 15]],
}

# All lengths are in units of which the page has so many; fonts of 7.5 points are 16 pixels high.
WIDTH, HEIGHT, MARGIN, HEAD, GAP, STATS = 1600 / 1.5, 900 / 1.5, 8, 36, 6, 92
DPI = 100
INK = "#24292e"

plt.rcParams.update({
    "font.size": 7.5, "font.family": "DejaVu Sans", "axes.edgecolor": "#c9ccd1", "axes.labelcolor": INK, "xtick.color": "#5b6270",
    "ytick.color": "#5b6270", "axes.spines.top": False, "axes.spines.right": False, "grid.color": "#eceef0", "axes.axisbelow": True,
})


class Page:
    def __init__(self):
        self.figure = plt.figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="#f1f2f4")

    def box(self, x, y, width, height):
        """Converts pixels from the upper left corner into fractions of the page."""
        return x / WIDTH, 1 - (y + height) / HEIGHT, width / WIDTH, height / HEIGHT

    def text(self, x, y, text, **looks):
        self.figure.text(x / WIDTH, 1 - y / HEIGHT, text, va="center", color=INK, **looks)

    def panel(self, panel, results, x, y, width, height):
        left, bottom, across, up = self.box(x, y, width, height)
        frame = FancyBboxPatch((left, bottom), across, up, boxstyle="square,pad=0", facecolor="white", edgecolor="#d9dce1", linewidth=0.8,
                               transform=self.figure.transFigure, zorder=-1)
        self.figure.add_artist(frame)
        self.text(x + 8, y + 13, panel["title"], fontsize=8.5, weight="bold")
        KINDS[panel["type"]](self, (x + 8, y + 26, width - 16, height - 34), panel, Looks(panel), results)

    def axes(self, inner, left=0, bottom=0, right=0):
        """With space in pixels for labels."""
        x, y, width, height = inner
        return self.figure.add_axes(self.box(x + left, y, width - left - right, height - bottom))


def draw(dashboard, lines, sources, file):
    panels = {inner["id"]: inner for panel in dashboard["panels"] for inner in [panel, *panel.get("panels", [])]}
    page = Page()
    page.text(MARGIN + 2, HEAD / 2, dashboard["title"], fontsize=13, weight="bold")
    of = [[panels[id] for id in line] for line in lines]
    stats = [all(panel["type"] == "stat" for panel in line) for line in of]
    rest = HEIGHT - HEAD - MARGIN - GAP * (len(of) - 1) - STATS * sum(stats)
    y = HEAD
    for line, small in zip(of, stats):
        height = STATS if small else rest / stats.count(False)
        share = (WIDTH - 2 * MARGIN - GAP * (len(line) - 1)) / sum(panel["gridPos"]["w"] for panel in line)
        x = MARGIN
        for panel in line:
            width = panel["gridPos"]["w"] * share
            # A query without a result is no line.
            results = [one for one in sources.of(panel) if (one.rows if hasattr(one, "rows") else one)]
            page.panel(panel, results, x, y, width, height)
            x += width + GAP
        y += height + GAP
    page.figure.savefig(file, dpi=1.5 * DPI, facecolor=page.figure.get_facecolor())
    plt.close(page.figure)
    # A small palette is enough, and keeps the file small.
    Image.open(file).convert("RGB").quantize(128).save(file, optimize=True)
