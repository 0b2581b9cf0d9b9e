"""A made-up month of two servers for the pictures, as OpenMetrics: the same each time, and in detail on its last day.

On that day the disks of the database are slow from 14:00 to 14:40, and a mistake in the ConfigMap is rejected for 20 minutes.
"""

import math
import random
from datetime import datetime, timezone

END = int(datetime(2026, 11, 25, 20, 0, tzinfo=timezone.utc).timestamp())
DAY = 86400
LABELS = 'job="nutritionfacts",namespace="telemetry",pod="nutritionfacts-7d9c6b54f8-{}",instance="{}:8081"'
SERVERS = [("2xkqw", "10.244.1.17"), ("p8j5d", "10.244.2.9")]
BOUNDS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]


def at(hour, minute):
    return END - 20 * 3600 + hour * 3600 + minute * 60


def during(moment, begin, minutes):
    """From 0 to 1 and back: how bad it is."""
    passed = (moment - begin) / (60 * minutes)
    return min(1.0, 6 * passed, 6 * (1 - passed)) if 0 < passed < 1 else 0.0


def below(bound, median, spread=0.55):
    """The share of a log-normal distribution that is below a bound."""
    return 0.5 * math.erfc(-math.log(bound / median) / spread / math.sqrt(2))


class Server:
    def __init__(self, number, write):
        self.labels, self.write, self.random = LABELS.format(*SERVERS[number]), write, random.Random(number)
        self.counts = {}

    def say(self, name, value, moment, labels=""):
        self.write(f"nutritionfacts_{name}{{{labels}{',' if labels else ''}{self.labels}}} {value:.6g} {moment}\n")

    def add(self, name, more, moment, labels=""):
        count = self.counts[name, labels] = self.counts.get((name, labels), 0.0) + more
        self.write(f"nutritionfacts_{name}{{{labels}{',' if labels else ''}{self.labels}}} {count:.3f} {moment}\n")

    def durations(self, name, more, moment, labels, median, slow, slow_median):
        for bound in BOUNDS:
            share = (1 - slow) * below(bound, median) + slow * below(bound, slow_median)
            self.add(f"{name}_bucket", more * share, moment, f'{labels},le="{bound:g}"')
        self.add(f"{name}_bucket", more, moment, f'{labels},le="+Inf"')
        self.add(f"{name}_count", more, moment, labels)

    def scrape(self, moment, seconds):
        slow = during(moment, at(14, 0), 40)
        # Some weeks before, a rollout of the database.
        errors = 0.03 * slow + 0.2 * during(moment, at(3, 0) - 17 * DAY, 25)
        hour = moment % DAY / 3600
        rate = 2.2 * (1 + 0.6 * math.cos((hour - 9) / 12 * math.pi)) * self.random.gauss(1, 0.03 * math.sqrt(300 / seconds))
        requests = max(rate, 0.1) * seconds
        invalid = 0.004 * requests
        for kind, share in [("pingbacks", 1.0), ("statistics", 0.35)]:
            of = {"invalid": invalid, "unavailable": errors * requests, "limited": 0.001 * requests}
            of["stored"] = requests - sum(of.values())
            for outcome, count in of.items():
                self.add(f"{kind}_total", share * count, moment, f'outcome="{outcome}"')
        median = 0.006 * self.random.gauss(1, 0.05)
        self.durations("http_request_duration_seconds", requests, moment, 'route="/api/v1/pingback"', median, 0.0002 + 0.35 * slow, 0.5)
        self.durations("store_commit_duration_seconds", requests / 1.5, moment, 'store="postgres"', median * 0.6, 0.0002 + 0.35 * slow, 0.45)
        self.say("store_up", 1, moment, 'store="postgres"')
        self.say("ingest_queue_rows", round(1200 * slow), moment)
        self.say("ingest_queue_capacity_rows", 10000, moment)
        self.say("build_info", 1, moment, 'version="0.1.0",revision="2627fa4"')
        self.configuration(moment)

    def configuration(self, moment):
        changes = [(at(8, 30), "applied"), (at(14, 10), "rejected"), (at(14, 30), "applied")]
        done = [(begin, result) for begin, result in changes if begin <= moment]
        applied = [begin for begin, result in done if result == "applied"]
        self.say("config_last_reload_successful", int(not done or done[-1][1] == "applied"), moment)
        self.say("config_last_reload_success_timestamp_seconds", int(applied[-1] if applied else at(9, 0) - 3 * DAY), moment)
        self.say("config_info", 1, moment, f'hash="{["ecc59382dd9c1e8c", "41b7d09a6f2c83e5", "9a03f5c1d87e2b46"][len(applied)]}"')
        for result in ["applied", "rejected", "restart_needed"]:
            self.say("config_reloads_total", sum(one == result for _, one in done), moment, f'source="config_map",result="{result}"')
        self.say("messages_active", 2 if applied else 1, moment)
        self.say("messages_rejected", 0, moment)


def openmetrics(file):
    servers = [Server(number, file.write) for number in range(len(SERVERS))]
    moments = [*range(END - 31 * DAY, END - DAY - 6 * 3600, 300), *range(END - DAY - 6 * 3600, END + 1, 30)]
    for before, moment in zip(moments, moments[1:]):
        for server in servers:
            server.scrape(moment, moment - before)
    file.write("# EOF\n")
