# Asks Kolibri itself what it makes of its messages; runs in `kolibri manage shell` of every release since 0.12, so on
# Python 2.7 too. Reads ranges.json and writes judgement.json, both in Kolibri's home.
import io
import json
import os

import kolibri
from django.test import RequestFactory
from kolibri.core.analytics import api

home = os.environ["KOLIBRI_HOME"]
with io.open(os.path.join(home, "ranges.json"), encoding="utf-8") as file:
    ranges = json.load(file)

# The request by which Kolibri's pages ask for the messages to show.
listing = api.PingbackNotificationViewSet.as_view({"get": "list"})(RequestFactory().get("/"))
assert listing.status_code == 200, listing.status_code

judgement = {
    "shown": [dict(message) for message in listing.data],
    "matches": dict((r, bool(api.version_matches_range(kolibri.__version__, r))) for r in ranges),
}
with open(os.path.join(home, "judgement.json"), "w") as file:
    json.dump(judgement, file, default=str)
