"""Words, people and places of the simulated account. All invented; the addresses are reserved for documentation."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass

REQUESTERS = 900
ORGANIZATIONS = 60
FIRST_ORGANIZATION_ID = 360_771_000_000
FIRST_REQUESTER_ID = 370_112_000_000
FIRST_AGENT_ID = 360_884_400_000
AGENTS_BY_GROUP = {360_003_311_090: 14, 360_003_311_117: 6, 360_003_311_133: 5, 360_003_311_150: 4}
"""How many agents each group has. First level takes every new ticket whose subject doesn't belong to another group."""
FIRST_LEVEL, SECOND_LEVEL, BILLING, LOGISTICS = AGENTS_BY_GROUP

CHANNELS = ("Mail", "Web form", "Chat", "Web service")
CHANNEL_WEIGHTS = (45, 35, 14, 6)
AI_CHANNEL = "Messaging"
VIA_CHANNEL = {
    "Mail": "email",
    "Web form": "web",
    "Chat": "chat",
    "Web service": "api",
    "Rule": "rule",
    AI_CHANNEL: "native_messaging",
}

SUBJECTS = (
    "Invoice shows the wrong VAT number",
    "Kann mich nach dem Update nicht anmelden",
    "Colis abîmé à la livraison",
    "Export to CSV stops at 10 000 rows",
    "Zażółć gęślą jaźń: znaki w fakturze są złe",
    "注文のキャンセルについて",
    "Two charges for one order",
    "Password reset e-mail never arrives",
    "Größe passt nicht, bitte um Umtausch",
    "App crashes on start 😕",
    "Question about the annual plan",
    "Webhook deliveries are late since Monday",
)

BILLING_SUBJECTS = (SUBJECTS[0], SUBJECTS[6], SUBJECTS[10])
LOGISTICS_SUBJECTS = (SUBJECTS[2], SUBJECTS[5], SUBJECTS[8])

REQUESTER_LINES = (
    "Hello, this has been going on since yesterday.",
    "Könnten Sie bitte noch einmal nachsehen? Danke!",
    "C'est toujours pareil après le redémarrage…",
    "Any news on this? My team is blocked.",
    "お世話になっております。ご確認をお願いいたします。",
    "I attached nothing new, the number is 4711.",
    'It says "internal error" & nothing else.',
)

AGENT_LINES = (
    "Thank you for the details, we are looking into it.",
    "Vielen Dank für Ihre Geduld, das sollte jetzt behoben sein.",
    "Could you tell us which version you are using?",
    "Nous avons renvoyé le colis aujourd'hui.",
    "The fix goes out tonight; I'll write again tomorrow.",
    "I have refunded the second charge.",
)

NOTES = ("Reproduced on staging.", "Waiting for the billing team.", "Same as last week's incident, see the runbook.")

PLACES = (
    ("Graz, 6, Austria", 47.0707, 15.4395),
    ("Montréal, QC, Canada", 45.5019, -73.5674),
    ("Osaka, 27, Japan", 34.6937, 135.5023),
    ("Łódź, 10, Poland", 51.7592, 19.456),
    ("Austin, TX, United States", 30.2672, -97.7431),
    ("São Paulo, SP, Brazil", -23.5505, -46.6333),
)

CLIENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
)


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of a ticket, and the channel it came through."""

    requester_id: int
    organization_id: int | None
    channel: str
    subject: str

    @staticmethod
    def draw(rng: random.Random) -> Cast:
        """A random requester."""
        number = int(REQUESTERS * rng.random() ** 2)  # some write often, many once
        organization_id = organization_ids()[number % ORGANIZATIONS] if number % 3 else None
        channel = rng.choices(CHANNELS, CHANNEL_WEIGHTS)[0]
        return Cast(FIRST_REQUESTER_ID + 211 * number, organization_id, channel, rng.choice(SUBJECTS))


def organization_ids() -> range:
    """The ids of all organizations."""
    return range(FIRST_ORGANIZATION_ID, FIRST_ORGANIZATION_ID + 13 * ORGANIZATIONS, 13)


@functools.cache
def agent_ids(group_id: int | None = None) -> range:
    """The user ids of the group's agents, or of all."""
    sizes = list(AGENTS_BY_GROUP.values())
    place = list(AGENTS_BY_GROUP).index(group_id) if group_id is not None else 0
    first = sum(sizes[:place])
    end = first + sizes[place] if group_id is not None else sum(sizes)
    return range(FIRST_AGENT_ID + 97 * first, FIRST_AGENT_ID + 97 * end, 97)


def draw_agent(rng: random.Random, group_id: int) -> int:
    """The user id of one of the group's agents."""
    return rng.choice(agent_ids(group_id))


def draw_system(rng: random.Random, via: str) -> dict[str, object]:
    """The `system` of an audit: where it was made. Empty for a rule."""
    if via == "Rule":
        return {}
    location, latitude, longitude = rng.choice(PLACES)
    place = {"ip_address": f"192.0.2.{rng.randrange(1, 255)}", "location": location}
    place_with_position: dict[str, object] = {**place, "latitude": latitude, "longitude": longitude}
    if via == "Mail":
        return {"message_id": f"<{rng.getrandbits(64):016x}@mail.example.com>", **place_with_position}
    return {"client": rng.choice(CLIENTS), **place_with_position}
