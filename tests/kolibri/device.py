"""A device: a release of Kolibri with a home directory of its own, worked by Kolibri's management commands."""

import json
import os
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Far beyond what anything takes on a slow machine: reaching it means that the condition never comes true.
LIMIT = 600


def end(log):
    """What matters of a log: in a fresh home, hundreds of lines of migrations and copied files come first."""
    return "\n".join(log.splitlines()[-40:])


class Device:
    def __init__(self, release, home):
        self.release = release
        self.home = home
        self.interpreter = release.interpreter()
        self.package = release.installed()

    def set_up(self):
        """Facility, people, content and logs, so that there is something to count."""
        self.manage("provisiondevice", "--facility", "Lab School", "--superusername", "labadmin", "--superuserpassword",
                    "labpass", "--preset", "formal", "--language_id", "sw-tz", "--verbosity", "0", "--noinput")
        self.run_inside("seed_device.py")

    def ping(self, server, mode=""):
        """One ping, which must count as success with Kolibri: the pingback, and the statistics after it."""
        log = self.manage("ping", f"--server={server}", "--once", mode=mode)
        # Some releases end with 0 all the same if the server is not reached.
        if log.count("Ping succeeded!") != 1 or "Ping failed" in log:
            raise AssertionError(f"{self.release} does not count this as a success:\n{end(log)}")

    def ping_until(self, server, condition):
        """Pings again and again, as releases up to 0.10 know no `--once`, until the condition holds; returns the log."""
        path = self.home / "ping.log"
        with path.open("wb") as log:
            # The interval is in minutes.
            process = self.spawn(["ping", "--", f"--server={server}/api/v1/pingback", "--interval=0.01"], "", log)
            try:
                begun = time.monotonic()
                while not condition():
                    if process.poll() is not None or time.monotonic() - begun > LIMIT:
                        raise AssertionError(f"{self.release} does not go on pinging:\n{end(path.read_text('utf-8'))}")
                    time.sleep(0.05)
            finally:
                process.kill()
                process.wait()
        return end(path.read_text("utf-8"))

    def instance_id(self):
        [row] = self.rows("SELECT id FROM morango_instanceidmodel WHERE current")
        return row["id"]

    def stored_messages(self):
        """What Kolibri has in its database, by `msg_id`."""
        return {row["id"]: row for row in self.rows("SELECT * FROM analytics_pingbacknotification")}

    def forget_messages(self):
        with closing(sqlite3.connect(self.home / "db.sqlite3")) as database, database:
            database.execute("DELETE FROM analytics_pingbacknotification")

    def judge(self, *ranges):
        """What Kolibri makes of its messages: those that it shows, and which version ranges match it."""
        (self.home / "ranges.json").write_text(json.dumps(ranges), "utf-8")
        self.run_inside("judge_messages.py")
        judgement = json.loads((self.home / "judgement.json").read_text("utf-8"))
        return {message["id"]: message for message in judgement["shown"]}, judgement["matches"]

    def run_inside(self, script):
        """Runs one of our scripts inside Kolibri, by its own Python."""
        path = str(HERE / script)
        self.manage("shell", "-c", f"exec(compile(open({path!r}).read(), {script!r}, 'exec'), {{}})")

    def manage(self, *arguments, mode=""):
        """Runs a management command, which must succeed; returns what it wrote."""
        process = self.spawn(arguments, mode, subprocess.PIPE)
        try:
            output = process.communicate(timeout=LIMIT)[0].decode("utf-8", "replace")
        finally:
            process.kill()
        if process.returncode != 0:
            raise AssertionError(f"{self.release}: `manage {arguments[0]}` ended with {process.returncode}:\n{end(output)}")
        return output

    def spawn(self, arguments, mode, output):
        # Nothing of the caller's environment may change what Kolibri does.
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8", "NO_PROXY": "*",
            "PYTHONPATH": str(self.package), "KOLIBRI_HOME": str(self.home), "KOLIBRI_RUN_MODE": mode,
        }
        command = [self.interpreter, "-m", "kolibri", "manage", *arguments]
        return subprocess.Popen(command, env=environment, cwd=self.home, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT)

    def rows(self, query):
        with closing(sqlite3.connect(f"file:{self.home}/db.sqlite3?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query)]
