"""Messages as an operator writes them, and as Kolibri is to have them."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Message:
    id: str
    version_range: str = "*"
    stage: str = "Active"
    title: str = "Please upgrade"
    date: str = "2026-11-01"
    link_url: str = "https://example.org/upgrade"
    audience: dict = field(default_factory=dict)

    def document(self):
        # JSON's strings and lists are YAML, so that nothing in a text needs another thought.
        lines = [
            f"id: {self.id}",
            f"stage: {self.stage}",
            f"versionRange: {json.dumps(self.version_range)}",
            f"linkUrl: {self.link_url}",
            f"date: {self.date}",
            "translations:",
        ]
        for language, text in self.translations().items():
            lines += [f"  {language}:", f"    title: {json.dumps(text['title'], ensure_ascii=False)}",
                      f"    message: {json.dumps(text['msg'], ensure_ascii=False)}"]
            if text["link_text"]:
                lines.append(f"    linkText: {json.dumps(text['link_text'], ensure_ascii=False)}")
        if self.audience:
            lines += ["audience:", *(f"  {key}: {json.dumps(value)}" for key, value in self.audience.items())]
        return "\n".join(lines) + "\n"

    def translations(self):
        return {
            "en": {"title": self.title, "msg": "A newer Kolibri is out.\nIt is \"free\": see below.",
                   "link_text": "How to"},
            # Without a link's text, which is null for Kolibri; it shows the address then.
            "sw-tz": {"title": "Tafadhali sasisha", "msg": "Kolibri mpya imetoka – bure 🦜", "link_text": None},
        }

    def as_kept(self, version_range=None):
        """The row in Kolibri's table, with `i18n` parsed."""
        return {
            "id": self.id, "version_range": version_range or self.version_range, "timestamp": self.date,
            "link_url": self.link_url, "i18n": self.translations(), "active": True, "source": "pingback",
        }


def write(folder, *messages):
    """Puts the messages into place in one step, so that the server never reads half a file."""
    half = folder / ".messages.half"
    half.write_text("---\n".join(message.document() for message in messages), "utf-8")
    half.rename(folder / "messages.yaml")
