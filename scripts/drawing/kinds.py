"""One function for each kind of panel, which draws results into a panel."""

import math
import re
from datetime import datetime, timezone

from ask import Table
from looks import cell
from matplotlib import dates
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator


def flat(results):
    return [series for result in results if isinstance(result, list) for series in result]


def moments(times):
    return [datetime.fromtimestamp(moment, timezone.utc) for moment in times]


def singles(results):
    """Names and values: the last value of each series, or the rows of a table."""
    found = [(series.name, series.values[-1]) for series in flat(results)]
    for table in (result for result in results if isinstance(result, Table)):
        for row in table.rows:
            named = len(row) > 1
            found.append((row[0] if named else table.columns[0], float(row[-1 if named else 0] or 0)))
    return found


def stat(page, inner, panel, looks, results):
    (name, value), *_ = singles(results)
    axes = page.axes(inner)
    axes.axis("off")
    filled = panel["options"].get("colorMode") == "background"
    colour = looks.colour(value)
    if filled:
        axes.add_patch(Rectangle((0, 0), 1, 1, color=colour, transform=axes.transAxes))
    axes.text(0.5, 0.5, looks.write(name, value), ha="center", va="center", fontsize=14, color="white" if filled else colour, weight="bold")


def time_axis(axes, series):
    locator = dates.AutoDateLocator(minticks=3, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))
    every = moments(sorted({moment for one in series for moment in one.times}))
    if len(every) > 1:
        axes.set_xlim(every[0], every[-1])


def timeseries(page, inner, panel, looks, results):
    series = flat(results)
    custom = looks.defaults.get("custom", {})
    names = list(dict.fromkeys(looks.title(one.name) for one in series))
    columns = max(1, int(inner[2] / (4.8 * max(len(name) for name in names) + 24)))
    lines = min(math.ceil(len(names) / columns), 4)
    axes = page.axes(inner, left=52, bottom=20 + 13 * lines, right=6)
    colours = [looks.line(one.name, number) for number, one in enumerate(series)]
    stacked = custom.get("stacking", {}).get("mode") not in (None, "none")
    if custom.get("drawStyle") == "bars":
        for one, colour in zip(series, colours):
            axes.vlines(moments(one.times), 0, one.values, color=colour, linewidth=3, label=looks.title(one.name))
    elif stacked:
        times = sorted({moment for one in series for moment in one.times})
        at = [dict(zip(one.times, one.values)) for one in series]
        heights = [[values.get(moment, 0.0) if math.isfinite(values.get(moment, 0.0)) else 0.0 for moment in times] for values in at]
        axes.stackplot(moments(times), heights, colors=colours, labels=[looks.title(one.name) for one in series], alpha=0.75)
    else:
        for one, colour in zip(series, colours):
            dashed = looks.of(one.name, "custom.lineStyle") is not None
            axes.plot(moments(one.times), one.values, color=colour, linewidth=1.2, linestyle="--" if dashed else "-", clip_on=False, label=looks.title(one.name))
    low, high = limits(axes, looks, [value for one in series for value in one.values if math.isfinite(value)])
    axes.set_ylim(low, high)
    if custom.get("thresholdsStyle", {}).get("mode", "off") != "off":
        for bound, colour in looks.steps():
            if colour != "none" and low <= bound <= high:
                axes.axhline(bound, color=colour, linewidth=0.8, linestyle="--")
    whole = looks.defaults.get("decimals") == 0 and looks.defaults["unit"] != "percentunit"
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=whole))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: re.sub(r"(\.\d*?)0+(?!\d)", r"\1", looks.write("", value)).replace(". ", " ")))
    axes.grid(axis="y")
    time_axis(axes, series)
    legend(axes, inner, names[: columns * lines], columns, lines)


def limits(axes, looks, values):
    """The limits of the panel, if all values are within."""
    low, high = axes.get_ylim()
    lowest, highest = looks.defaults.get("min"), looks.defaults.get("max")
    low = low if lowest is None else lowest
    if highest is not None and max(values, default=highest) <= highest:
        high = highest
        low = min(low, high - 0.002) if lowest is None else low
    if max(values, default=low) <= low and highest is None:
        high = low + 1
    return low, high


def legend(axes, inner, names, columns, lines):
    handles, labels = axes.get_legend_handles_labels()
    first = {label: handle for handle, label in zip(handles[::-1], labels[::-1])}
    below = 24 / max(inner[3] - 20 - 13 * lines, 1)
    axes.legend([first[name] for name in names], names, loc="upper left", bbox_to_anchor=(-0.06, -below), ncols=columns, frameon=False,
                fontsize=6.5, handlelength=1, columnspacing=1, borderaxespad=0, handletextpad=0.4, labelspacing=0.2)


def bars(axes, inner, looks, found, colours):
    """Horizontal bars, the first on top."""
    names = [name for name, _ in found]
    axes.barh(range(len(found)), [value for _, value in found], color=colours, height=0.7)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_yticks(range(len(found)), names, fontsize=min(7.5, inner[3] / len(found) / 1.5))
    axes.tick_params(length=0)
    axes.set_xticks([])
    most = max([value for _, value in found if math.isfinite(value)] + [looks.defaults.get("max") or 0, 1e-9])
    axes.set_xlim(0, most * 1.15)
    for number, (name, value) in enumerate(found):
        axes.text(min(value, most) + most * 0.01, number, looks.write(name, value), va="center", fontsize=min(7.5, inner[3] / len(found) / 1.5))
    for side in ("bottom", "left"):
        axes.spines[side].set_visible(False)


def bargauge(page, inner, panel, looks, results):
    found = singles(results)
    longest = max(len(name) for name, _ in found)
    steps = looks.steps()
    colours = [looks.colour(value) if steps else "#3274d9" for _, value in found]
    bars(page.axes(inner, left=min(6 + 5.2 * longest, inner[2] / 2)), inner, looks, found, colours)


def state_timeline(page, inner, panel, looks, results):
    series = flat(results)
    longest = max(len(one.name) for one in series)
    axes = page.axes(inner, left=min(12 + 4.7 * longest, inner[2] * 0.5), bottom=20, right=6)
    for row, one in enumerate(series):
        times, begin = moments(one.times), 0
        for index in range(1, len(times) + 1):
            if index == len(times) or one.values[index] != one.values[begin]:
                end = times[min(index, len(times) - 1)]
                axes.barh(row, end - times[begin], left=times[begin], height=0.8, color=looks.colour(one.values[begin]))
                if end - times[begin] > (times[-1] - times[0]) * 0.12:
                    axes.text(times[begin] + (end - times[begin]) / 2, row, looks.write(one.name, one.values[begin]), ha="center", va="center", color="white", fontsize=7)
                begin = index
    axes.set_yticks(range(len(series)), [one.name for one in series], fontsize=6.5)
    axes.set_ylim(len(series) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    time_axis(axes, series)


def table(page, inner, panel, looks, results):
    found = next(result for result in results if isinstance(result, Table))
    hidden = {"Time"} | {name for change in panel["transformations"] for name in change["options"].get("excludeByName", {})}
    kept = [number for number, name in enumerate(found.columns) if name not in hidden]
    axes = page.axes(inner)
    axes.axis("off")
    fits = int(inner[3] / 17) - 1
    rows = [[cell(str(row[number]), looks.unit(found.columns[number]), looks.defaults.get("decimals")) for number in kept] for row in found.rows[:fits]]
    headings = [looks.title(found.columns[number]) for number in kept]
    lengths = [max(len(line[number]) for line in [headings, *rows]) + 3 for number in range(len(kept))]
    size = min(7.2, 7.2 * inner[2] / (5.8 * sum(lengths)))
    left = 0.0
    for number, length in enumerate(lengths):
        for line, texts in enumerate([headings, *rows]):
            axes.text(left, 1 - (line + 0.5) * 17 / inner[3], texts[number], va="center", fontsize=size, weight="bold" if line == 0 else "normal", transform=axes.transAxes)
        left += length / sum(lengths)
    axes.axhline(1 - 17 / inner[3], color="#c9ccd1", linewidth=0.8)
    axes.set_ylim(0, 1)


KINDS = {
    "bargauge": bargauge, "stat": stat, "state-timeline": state_timeline, "table": table,
    "timeseries": timeseries,
}
