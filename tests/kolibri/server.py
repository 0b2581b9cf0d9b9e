"""Our server, as a process of its own with the embedded store."""

import json
import os
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing

# Far beyond what anything takes on a slow machine: reaching it means that the condition never comes true.
LIMIT = 120


class Server:
    def __init__(self, folder, messages=None):
        """`folder` gets the store, `messages` is a folder of message files."""
        self.store = folder / "data/nutritionfacts.db"
        self.log = folder / "log"
        ours = ("NUTRITIONFACTS", "OTEL_", "DATABASE_URL", "RUST_LOG")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment["NUTRITIONFACTS__PRIVACY__KEY"] = "a key for tests only, 32 or more characters"
        if messages:
            environment["NUTRITIONFACTS__MESSAGES__FILES"] = json.dumps([str(messages)])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [os.environ["NUTRITIONFACTS_BIN"], "serve", "--log-format", "json",
                 "--set", "http.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0"],
                env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.url = "http://" + self.eventually("the server listens", self.address)
            self.eventually("the server is ready", self.ready)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def address(self):
        for line in self.log.read_text("utf-8").splitlines(keepends=True):
            if '"listening"' in line and line.endswith("\n"):
                entry = json.loads(line)
                if entry["listener"] == "public":
                    return entry["address"]

    def ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=LIMIT) as reply:
                return reply.status == 200
        except urllib.error.HTTPError:
            return False

    def messages_for(self, version):
        """The messages in the reply to a ping of our own, by `msg_id`."""
        body = json.dumps({"instance_id": "0" * 32, "version": version}).encode()
        with urllib.request.urlopen(f"{self.url}/api/v1/pingback", body, timeout=LIMIT) as reply:
            return {message["msg_id"]: message for message in json.load(reply)["messages"]}

    def rows(self, query):
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query)]

    def eventually(self, what, condition):
        begun = time.monotonic()
        while not (found := condition()):
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log.read_text('utf-8')}")
            if time.monotonic() - begun > LIMIT:
                raise AssertionError(f"this never came true: {what}; the server's log:\n{self.log.read_text('utf-8')}")
            time.sleep(0.02)
        return found

    def stop(self):
        """Stops it as a person does at a terminal, which is to be clean."""
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(LIMIT)
        finally:
            self.process.kill()
            self.process.wait()
        if code != 0:
            raise AssertionError(f"the server ended with {code}:\n{self.log.read_text('utf-8')}")
