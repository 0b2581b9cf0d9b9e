"""The server against real releases of Kolibri, at least one of each generation of clients."""

import json
import tempfile
import time
import unittest
from pathlib import Path

from device import Device
from release import Release
from server import Server

# What seed_device.py puts on a device, as far as every release counts it alike.
CHANNEL = {
    "version": 12, "updated": "2024-02-29", "summaries_started": 108, "summaries_completed": 54,
    "user_sessions": 108, "anonymous_sessions": 9, "user_minutes": 563, "anonymous_minutes": 9,
}
FACILITY = {
    "learners": 24, "learner_logins": 72, "coaches": 12, "coach_logins": 9, "first_used": "2023-03-01",
    "last_used": "2023-12-15", "lessons": 1, "exams": 1, "attempt_logs": 81, "summaries_started": 108,
    "summaries_completed": 54, "user_sessions": 108, "anonymous_sessions": 9,
}
KINDS = {"document": 27, "exercise": 27, "html5": 27, "video": 36}


def folder_to_throw_away(add_cleanup):
    folder = tempfile.TemporaryDirectory(prefix="nf-kolibri-")
    add_cleanup(folder.cleanup)
    return Path(folder.name)


class OnDevice(unittest.TestCase):
    """Gives the tests of a class a device, and each test servers of its own."""

    release = None

    @classmethod
    def setUpClass(cls):
        begun = time.monotonic()
        cls.addClassCleanup(lambda: print(f"{cls.release}: {time.monotonic() - begun:.0f} s", flush=True))
        cls.device = Device(cls.release, folder_to_throw_away(cls.addClassCleanup))

    def serve(self):
        """Starts a server."""
        server = Server(folder_to_throw_away(self.addCleanup))
        self.addCleanup(server.stop)
        return server

    def assert_has(self, expected, row):
        self.assertEqual(expected, {key: row[key] for key in expected})


class Since_0_12:
    """What every release does that knows messages; a device keeps the same instance id throughout."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.device.set_up()

    def test_a_ping_is_stored_with_its_statistics(self):
        server = self.serve()
        self.device.ping(server.url)
        [ping] = server.rows("SELECT * FROM pingbacks")
        self.assert_has({"kolibri_version": self.release.version, "instance_id": self.device.instance_id(),
                         "language": "sw-tz", "mode": "", "os": "linux", "extra": "{}"}, ping)
        self.assertEqual(self.release.python, ping["python_version"].rsplit(".", 1)[0])
        [statistics] = server.rows("SELECT * FROM statistics")
        self.assert_has({"pingback_id": ping["id"], "pi": ping["id"]}, statistics)

        # The other channel is empty.
        channel, _ = server.rows("SELECT * FROM channel_statistics ORDER BY version DESC")
        [facility] = server.rows("SELECT * FROM facility_statistics")
        for row in channel, facility:
            self.assertEqual(statistics["id"], row["statistics_id"])
            self.assertEqual(KINDS, json.loads(row["sessions_by_kind"]))
        self.assert_has(CHANNEL, channel)
        self.assertEqual(15, int(channel["storage_mib"]))
        self.assertEqual(50, len(json.loads(channel["popular_ids"])))
        self.assert_has(FACILITY, facility)
        if self.release.at_least(0, 13):
            for row in channel, facility:
                self.assertEqual(15, json.loads(row["learner_demographics"])["bys"]["ts"])
        if self.release.at_least(0, 14):
            self.assert_has({"classes": 1, "groups": 1, "users": 27, "visitors": 4,
                             "anonymous_sessions_without_visitor": 2}, facility)
        if self.release.at_least(0, 15):
            self.assertEqual(20, json.loads(facility["devices"])["Android,9/Chrome Mobile,86"])


class Kolibri_0_10_3(OnDevice):
    """Knows neither statistics nor messages, and must get an empty reply."""

    release = Release("0.10.3", "2.7")

    def test_pinging_goes_on(self):
        server = self.serve()
        pings = "SELECT * FROM pingbacks"
        log = self.device.ping_until(server.url, lambda: len(server.rows(pings)) >= 2)
        for ping in server.rows(pings):
            self.assert_has({"kolibri_version": "0.10.3", "instance_id": self.device.instance_id(), "os": "linux"}, ping)
        # What it makes of an empty reply.
        self.assertIn("Ping succeeded! (response: {})", log)
        self.assertEqual([], server.rows("SELECT * FROM statistics"))


class Kolibri_0_12_9(Since_0_12, OnDevice):
    """The first that knows messages; plain bodies, as on all Pythons 3."""

    release = Release("0.12.9", "3.6")


class Kolibri_0_13_3(Since_0_12, OnDevice):
    """Another matching of versions; bodies in zlib, as on Python 2."""

    release = Release("0.13.3", "2.7")


class Kolibri_0_15_12(Since_0_12, OnDevice):
    """The third matching of versions."""

    release = Release("0.15.12", "3.11")


class Kolibri_0_17_5(Since_0_12, OnDevice):
    release = Release("0.17.5", "3.11")


class Kolibri_0_18_4(Since_0_12, OnDevice):
    """The fourth matching of versions; takes a reply with `Connection: close` for a failure."""

    release = Release("0.18.4", "3.11")


class Kolibri_0_19_5(Since_0_12, OnDevice):
    """As 0.18, and follows no redirect to another host."""

    release = Release("0.19.5", "3.11")
