"""Queries as Grafana does: replaces variables and macros, with all values of each variable selected."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timezone

POINTS = 288


@dataclass
class Series:
    name: str
    labels: dict = field(default_factory=dict)
    times: list = field(default_factory=list)
    values: list = field(default_factory=list)


@dataclass
class Table:
    columns: list
    rows: list


class Sources:
    def __init__(self, prometheus, postgres, since, until, dashboard):
        self.prometheus, self.postgres, self.since, self.until = prometheus, postgres, since, until
        self.variables = {}
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "custom":
                self.variables[variable["name"]] = variable["current"]["value"]
            elif variable["type"] == "query" and variable["datasource"]["type"] != "prometheus":
                self.variables[variable["name"]] = [row[0] for row in self._sql(variable["query"]).rows]

    def of(self, panel):
        """Lists of series and tables, one for each query."""
        return [self._one(target, panel) for target in panel["targets"]]

    def _one(self, target, panel):
        if "expr" not in target:
            return self._sql_series(target)
        if target.get("instant"):
            found = self._prometheus("query", query=self._fill(target["expr"], 60), time=self.until)
            for one in found:
                one["values"] = [one.pop("value")]
        else:
            step = max((self.until - self.since) / POINTS, 5)
            found = self._prometheus("query_range", query=self._fill(target["expr"], step), start=self.since, end=self.until, step=step)
        if target.get("format") == "table":
            names = sorted({name for one in found for name in one["metric"] if name != "__name__"})
            columns = ["Time", *names, "Value"]
            rows = [[one["values"][-1][0], *(one["metric"].get(name, "") for name in names), one["values"][-1][1]] for one in found]
            return Table(columns, rows)
        return [
            Series(self._legend(target, one["metric"]), one["metric"], [point[0] for point in one["values"]], [float(point[1]) for point in one["values"]])
            for one in found
        ]

    def _legend(self, target, labels):
        name = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), target.get("legendFormat") or "")
        return " ".join(name.split()) or "Value"

    def _fill(self, expr, step):
        step = max(int(step), 5)
        for name, value in [("$__rate_interval", f"{max(step, 60)}s"), ("$__interval", f"{step}s"), ("$__range", f"{int(self.until - self.since)}s")]:
            expr = expr.replace(name, value)
        return re.sub(r"\$(namespace|job|instance)\b", ".*", expr)

    def _prometheus(self, what, **parameters):
        url = f"{self.prometheus.rstrip('/')}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url) as reply:
            return json.load(reply)["data"]["result"]

    def _sql_series(self, target):
        table = self._sql(self._fill_sql(target["rawSql"]))
        if target.get("format") != "time_series":
            return table
        series = {}
        for row in table.rows:
            cells = dict(zip(table.columns, row))
            moment, metric = datetime.fromisoformat(cells.pop("time")).timestamp(), cells.pop("metric", None)
            for column, value in cells.items():
                one = series.setdefault(metric or column, Series(metric or column))
                one.times.append(moment)
                one.values.append(float(value) if value else 0.0)
        return list(series.values())

    def _fill_sql(self, sql):
        moment = lambda seconds: "'" + datetime.fromtimestamp(seconds, timezone.utc).isoformat() + "'"
        sql = sql.replace("$__timeFrom()", moment(self.since)).replace("$__timeTo()", moment(self.until))
        sql = re.sub(r"\$__timeFilter\(([^)]*)\)", lambda found: f"{found[1]} BETWEEN {moment(self.since)} AND {moment(self.until)}", sql)
        quote = lambda values: ",".join("'" + value.replace("'", "''") + "'" for value in values)
        return re.sub(r"\$\{(\w+):sqlstring\}", lambda found: quote(self.variables[found[1]]), sql)

    def _sql(self, sql):
        if not self.postgres:
            sys.exit("scripts/pictures: this dashboard asks PostgreSQL: --postgres URL")
        if not shutil.which("psql"):
            sys.exit("scripts/pictures: psql is missing (Debian: apt-get install postgresql-client)")
        command = ["psql", "--no-psqlrc", "--csv", "-v", "ON_ERROR_STOP=1", "-c", "SET TIME ZONE 'UTC'", "-c", sql, self.postgres]
        done = subprocess.run([*command, "--quiet"], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"scripts/pictures: PostgreSQL says {done.stderr}")
        columns, *rows = csv.reader(io.StringIO(done.stdout))
        return Table(columns, rows)
