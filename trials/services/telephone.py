"""How a message reaches a telephone: as a push message to its browser, or as a text message.

Push messages follow RFC 8030 (delivery), RFC 8291 (encryption: the push service cannot read
them) and RFC 8292 (VAPID: who sends). A message that comes twice carries the same topic and
tag, so that the second replaces the first on the telephone. Text messages go to a gateway of
the clinic's choice by one HTTP request each.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parseaddr
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trials.keys import Vault
from trials.services.transports import (
    ByChannel,
    DeliveryError,
    Mail,
    Transport,
    mail_transport_of,
)
from trials.settings import Settings

TIMEOUT_SECONDS = 20.0
LONGEST_LIFE = timedelta(hours=12)
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256: private keys lie between 1 and this, excluded (SEC 2, 2.4.2)."""
_NOBODY_LISTENS = {404, 410}
_TOO_BUSY = {408, 429}


@dataclass(frozen=True)
class WebPush:
    """Hands messages to the push services of browsers."""

    settings: Settings
    vault: Vault

    def send(self, mail: Mail, before_handover: Callable[[], bool]) -> bool:
        """Hand one message over; a repetition replaces the first on the telephone."""
        from py_vapid import Vapid02  # noqa: PLC0415
        from pywebpush import (  # noqa: PLC0415  # loads slowly, and only a sender needs it
            WebPushException,
            webpush,
        )

        target = mail.target
        if target is None or not may_push_to(target.endpoint, self.settings):
            raise DeliveryError("this browser's push service is not one we know", for_good=True)
        if not before_handover():
            return False
        content = {"tag": mail.topic, "title": mail.subject, "body": mail.body}
        life = LONGEST_LIFE
        if mail.void_after is not None:
            life = max(timedelta(0), min(life, mail.void_after - mail.written_at))
        try:
            webpush(
                {
                    "endpoint": target.endpoint,
                    "keys": {"p256dh": target.p256dh, "auth": target.auth},
                },
                json.dumps(content),
                vapid_private_key=Vapid02(push_key(self.vault)),
                vapid_claims={"sub": f"mailto:{parseaddr(self.settings.mail_from)[1]}"},
                ttl=int(life.total_seconds()),
                headers={"Topic": mail.topic, "Urgency": "high"},
                timeout=TIMEOUT_SECONDS,
            )
        except WebPushException as problem:
            status = None if problem.response is None else problem.response.status_code
            useless = status is None or status in _NOBODY_LISTENS  # None: keys that are none
            raise DeliveryError(
                f"the push service: {problem.message[:200]}", for_good=useless
            ) from problem
        except requests.RequestException as problem:
            raise DeliveryError(f"the push service: {problem}") from problem
        return True


@dataclass(frozen=True)
class TextMessages:
    """Hands text messages to a gateway: one POST of JSON each.

    The body is ``{"id", "to", "text"}``; the id is also sent as ``Idempotency-Key``, so that a
    gateway can tell a repetition. Any answer from 200 to 299 means that it was taken.
    """

    settings: Settings

    def send(self, mail: Mail, before_handover: Callable[[], bool]) -> bool:
        """Hand one message over."""
        if not self.settings.sms_url:
            raise DeliveryError("no gateway for text messages is set", for_good=True)
        if not before_handover():
            return False
        try:
            answer = requests.post(
                str(self.settings.sms_url),
                json={"id": mail.public_id, "to": mail.recipient, "text": mail.body},
                headers={
                    "Authorization": f"Bearer {self.settings.sms_token}",
                    "Idempotency-Key": mail.public_id,
                },
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.ConnectTimeout as problem:
            raise DeliveryError(f"the gateway: {problem}") from problem
        except (requests.Timeout, requests.ConnectionError) as problem:
            unknown = "refused" not in str(problem).lower()  # refused: it never got there
            raise DeliveryError(f"the gateway: {problem}", unknown=unknown) from problem
        if not 200 <= answer.status_code < 300:
            for_good = 400 <= answer.status_code < 500 and answer.status_code not in _TOO_BUSY
            raise DeliveryError(
                f"the gateway: {answer.status_code} {answer.text[:200]}", for_good=for_good
            )
        return True


def transport_of(settings: Settings, vault: Vault) -> Transport:
    """Return the ways out of this installation, one for each channel."""
    return ByChannel(
        {
            "email": mail_transport_of(settings),
            "sms": TextMessages(settings),
            "push": WebPush(settings, vault),
        }
    )


def push_key(vault: Vault) -> EllipticCurvePrivateKey:
    """Return the key that push services know this installation by, from the master key."""
    number = int.from_bytes(vault.derive("web push", 40), "big")
    return derive_private_key(number % (_ORDER - 1) + 1, SECP256R1())


def public_push_key(vault: Vault) -> str:
    """Return what a browser needs to take our messages: the public key, base64url."""
    public = push_key(vault).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).rstrip(b"=").decode()


def may_push_to(endpoint: str, settings: Settings) -> bool:
    """Return whether an endpoint belongs to a push service we know.

    A browser names its endpoint itself; without this list a patient's device could make the
    server call any address inside the clinic's network.
    """
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").lower()
    known = [name.strip().lower() for name in settings.push_hosts.split(",") if name.strip()]
    if host in {"127.0.0.1", "localhost"}:
        return host in known
    return parts.scheme == "https" and any(host == k or host.endswith(f".{k}") for k in known)
