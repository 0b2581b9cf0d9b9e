"""The server against real releases of Kolibri, at least one of each generation of clients."""

import json
import tempfile
import time
import unittest
from pathlib import Path

from catalogue import Message, write
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

    def serve(self, *messages):
        """Starts a server; with messages if there are any, which are in the folder `self.messages`."""
        if messages:
            self.messages = folder_to_throw_away(self.addCleanup)
            write(self.messages, *messages)
        server = Server(folder_to_throw_away(self.addCleanup), self.messages if messages else None)
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

    def setUp(self):
        self.device.forget_messages()

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

    def test_messages_arrive_as_written_where_the_version_matches(self):
        version = self.release.version
        ranges = ["*", f"=={version}", f"!={version}", f"<{version}", f"<={version}", f">{version}", f">={version}",
                  "<0.13.0", ">=0.13.0,<0.16.0", ">=0.16.0,<0.18.0", ">=0.18.0"]
        messages = [Message(f"range-{number}", version_range) for number, version_range in enumerate(ranges)]
        server = self.serve(*messages)
        self.device.ping(server.url)
        shown, matches = self.device.judge(*ranges)
        # By Kolibri's own judgement; these three show that it does judge.
        self.assertEqual([True, True, False], [matches[version_range] for version_range in ranges[:3]])
        self.assert_kept({message.id: message.as_kept() for message in messages if matches[message.version_range]})
        # Kolibri shows all that it got: the server sends nothing that the device would have to hide.
        self.assertEqual(self.kept().keys(), shown.keys())

    def test_messages_arrive_where_they_are_meant_for(self):
        ours, other = self.device.instance_id(), "f" * 32
        here, elsewhere = ["127.0.0.0/8"], ["203.0.113.0/24"]
        others = [Message("draft", stage="Draft"), Message("staged", stage="Staged"),
                  Message("withdrawn", stage="Withdrawn"),
                  Message("other-instance", audience={"instances": [other], "networks": []}),
                  Message("other-network", audience={"instances": [], "networks": elsewhere})]
        arriving = [Message("everybody", audience={"instances": [], "networks": []}),
                    Message("instance", audience={"instances": [other, ours]}),
                    Message("network", audience={"networks": elsewhere + here})]
        self.device.ping(self.serve(*others, *arriving).url)
        self.assert_kept({message.id: message.as_kept() for message in arriving})

    def test_a_withdrawn_message_disappears_and_an_edited_one_changes(self):
        server = self.serve(Message("please-upgrade"), Message("edited"))
        self.device.ping(server.url)
        self.assertEqual({"please-upgrade", "edited"}, self.device.judge()[0].keys())

        edited = Message("edited", title="Do upgrade", date="2026-11-02", link_url="https://example.org/other")
        write(self.messages, Message("please-upgrade", stage="Withdrawn"), edited)
        version = self.release.version
        server.eventually("the change is taken up",
                          lambda: server.messages_for(version)["edited"]["timestamp"] == edited.date)
        self.device.ping(server.url)
        self.assert_kept({"edited": edited.as_kept()})
        self.assertEqual({"edited"}, self.device.judge()[0].keys())
        # Kolibri keeps the row.
        self.assertEqual({"please-upgrade": 0, "edited": 1},
                         {name: row["active"] for name, row in self.device.stored_messages().items()})

    def test_the_mode_shows_staged_messages_before_others_see_them(self):
        active, staged = Message("active"), Message("staged", ">=0.12.0", "Staged")
        # No release here is 0.14.6.
        elsewhere = Message("elsewhere", "==0.14.6", "Staged")
        server = self.serve(active, staged, elsewhere)
        self.device.ping(server.url, mode="staged-msgs")
        self.assert_kept({"active": active.as_kept(), "staged": staged.as_kept("*")})
        self.device.ping(server.url, mode="staged-msgs-ver-0.14.6")
        self.assert_kept({message.id: message.as_kept("*") for message in (active, staged, elsewhere)})
        self.assertEqual({"active", "staged", "elsewhere"}, self.device.judge()[0].keys())
        self.device.ping(server.url)
        self.assert_kept({"active": active.as_kept()})

    def test_the_mode_asks_for_a_message_to_try(self):
        server = self.serve(Message("active"))
        self.device.ping(server.url, mode="msg-hello")
        shown, _ = self.device.judge()
        self.assertEqual({"active", "msg-hello"}, shown.keys())
        for text in shown["msg-hello"]["i18n"].values():
            self.assertTrue(text["title"] and text["msg"])
        self.assertIn("en", shown["msg-hello"]["i18n"])
        [ping] = server.rows("SELECT * FROM pingbacks")
        self.assertEqual("msg-hello", ping["mode"])

    def kept(self):
        """The messages that Kolibri's database has as active."""
        rows = {name: row for name, row in self.device.stored_messages().items() if row["active"]}
        return {name: {**row, "i18n": json.loads(row["i18n"]), "active": True} for name, row in rows.items()}

    def assert_kept(self, expected):
        self.maxDiff = None
        self.assertEqual(expected, self.kept())


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
