"""A page of panels in the layout of their dashboard."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from kinds import KINDS
from looks import Looks

# Pixels of one of the 24 columns, and of one step of height.
COLUMN, STEP, MARGIN, HEAD = 54, 30, 10, 44
DPI = 100
INK = "#24292e"

plt.rcParams.update({
    "font.size": 7.5, "font.family": "DejaVu Sans", "axes.edgecolor": "#c9ccd1", "axes.labelcolor": INK, "xtick.color": "#5b6270",
    "ytick.color": "#5b6270", "axes.spines.top": False, "axes.spines.right": False, "grid.color": "#eceef0", "axes.axisbelow": True,
})


class Page:
    def __init__(self, height):
        self.width, self.height = 24 * COLUMN + 2 * MARGIN, height * STEP + HEAD + MARGIN
        self.figure = plt.figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI, facecolor="#f1f2f4")

    def box(self, x, y, width, height):
        """Converts pixels from the upper left corner into fractions of the page."""
        return x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height

    def text(self, x, y, text, **looks):
        self.figure.text(x / self.width, 1 - y / self.height, text, va="center", color=INK, **looks)

    def panel(self, panel, results):
        place = panel["gridPos"]
        x, y = MARGIN + place["x"] * COLUMN, HEAD + place["y"] * STEP
        width, height = place["w"] * COLUMN - 6, place["h"] * STEP - 6
        left, bottom, across, up = self.box(x, y, width, height)
        frame = FancyBboxPatch((left, bottom), across, up, boxstyle="square,pad=0", facecolor="white", edgecolor="#d9dce1", linewidth=0.8,
                               transform=self.figure.transFigure, zorder=-1)
        self.figure.add_artist(frame)
        self.text(x + 8, y + 13, panel["title"], fontsize=8.5, weight="bold")
        inner = (x + 8, y + 26, width - 16, height - 34)
        looks = Looks(panel)
        kept = [one for one in results if (one.rows if hasattr(one, "rows") else one)]
        if not kept:
            self.text(x + width / 2, y + height / 2 + 8, looks.defaults["noValue"], ha="center", fontsize=8.5, alpha=0.6)
            return
        KINDS[panel["type"]](self, inner, panel, looks, kept)

    def axes(self, inner, left=0, bottom=0, right=0):
        """With space in pixels for labels."""
        x, y, width, height = inner
        return self.figure.add_axes(self.box(x + left, y, width - left - right, height - bottom))


def draw(dashboard, sources, file):
    panels = [inner for panel in dashboard["panels"] for inner in [panel, *panel.get("panels", [])]]
    page = Page(max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels))
    page.text(MARGIN + 2, 22, dashboard["title"], fontsize=13, weight="bold")
    for panel in panels:
        if panel["type"] == "row":
            page.text(MARGIN + 4, HEAD + panel["gridPos"]["y"] * STEP + STEP / 2, panel["title"], fontsize=10, weight="bold")
        else:
            page.panel(panel, sources.of(panel))
    page.figure.savefig(file, dpi=DPI, facecolor=page.figure.get_facecolor())
    plt.close(page.figure)
    # A small palette is enough, and keeps the file small.
    Image.open(file).convert("RGB").quantize(192).save(file, optimize=True)
