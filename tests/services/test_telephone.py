"""Push and text messages as the services behind them get them: decrypted, verified, once."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import http_ece
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.builders import VAULT
from trials.keys import Vault
from trials.services.telephone import (
    TextMessages,
    WebPush,
    may_push_to,
    public_push_key,
    push_key,
)
from trials.services.transports import DeliveryError, Mail, PushTarget
from trials.settings import Settings, read_settings

NOW = datetime.now(UTC)


class Receiver(ThreadingHTTPServer):
    """Keeps what it gets; answers with the status it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 201
        self.stall = threading.Event()
        self.stall.set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.server.stall.wait(10)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.stall.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Browser:
    """The receiving half of RFC 8291: keys, and what they open."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.secret = b"0123456789abcdef"

    def target(self, endpoint: str) -> PushTarget:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return PushTarget(endpoint, b64(point), b64(self.secret))

    def read(self, body: bytes) -> dict[str, str]:
        opened = http_ece.decrypt(
            body, private_key=self.key, auth_secret=self.secret, version="aes128gcm"
        )
        return json.loads(opened)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def push_settings(tmp_path: Path) -> Settings:
    return read_settings(
        data_dir=tmp_path, mail_from="Clinic <clinic@example.org>", push_hosts="127.0.0.1"
    )


def push_mail(target: PushTarget | None) -> Mail:
    return Mail(
        "k3v9m2p7x4qz", "abc", "Your diary is open", "Open until 3:00", NOW, "push", "a" * 32,
        NOW + timedelta(hours=5), target,
    )  # fmt: skip


def sms_settings(tmp_path: Path, receiver: Receiver) -> Settings:
    return read_settings(data_dir=tmp_path, sms_url=f"{receiver.address}/sms", sms_token="t0k3n")


SMS = Mail("k3v9m2p7x4qz", "+49301234567", "Subject", "Open until 3:00", NOW, "sms")


def test_a_push_message_is_opened_by_its_browser_alone(tmp_path: Path, receiver: Receiver):
    browser = Browser()
    way = WebPush(push_settings(tmp_path), VAULT)

    assert way.send(push_mail(browser.target(f"{receiver.address}/x")), lambda: True)

    heads, body = receiver.got[0]
    assert browser.read(body) == {
        "tag": "a" * 32,
        "title": "Your diary is open",
        "body": "Open until 3:00",
    }
    assert b"diary" not in body
    assert heads["topic"] == "a" * 32
    assert heads["urgency"] == "high"
    assert 0 < int(heads["ttl"]) <= 5 * 3600


def test_a_push_service_can_tell_who_sends(tmp_path: Path, receiver: Receiver):
    """The signature is checked here with the very key that browsers are given (RFC 8292)."""
    WebPush(push_settings(tmp_path), VAULT).send(
        push_mail(Browser().target(f"{receiver.address}/x")), lambda: True
    )

    claims, key = receiver.got[0][0]["authorization"].removeprefix("vapid ").split(",")
    head, payload, signature = claims.strip().removeprefix("t=").split(".")
    assert key.strip() == f"k={public_push_key(VAULT)}"
    raw = unb64(signature)
    number = utils.encode_dss_signature(
        int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    )
    point = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), unb64(public_push_key(VAULT))
    )
    point.verify(number, f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    told = json.loads(unb64(payload))
    assert told["aud"] == receiver.address
    assert told["sub"] == "mailto:clinic@example.org"


@pytest.mark.parametrize(("status", "for_good"), [(404, True), (410, True), (500, False)])
def test_what_a_push_service_answers_decides(tmp_path, receiver, status, for_good):
    receiver.status = status
    way = WebPush(push_settings(tmp_path), VAULT)

    with pytest.raises(DeliveryError) as problem:
        way.send(push_mail(Browser().target(f"{receiver.address}/x")), lambda: True)

    assert problem.value.for_good is for_good


def test_a_push_message_is_not_sent_without_leave(tmp_path: Path, receiver: Receiver):
    way = WebPush(push_settings(tmp_path), VAULT)

    assert not way.send(push_mail(Browser().target(f"{receiver.address}/x")), lambda: False)
    assert receiver.got == []


def test_keys_that_are_none_are_given_up(tmp_path: Path, receiver: Receiver):
    way = WebPush(push_settings(tmp_path), VAULT)

    with pytest.raises(DeliveryError) as problem:
        way.send(push_mail(PushTarget(f"{receiver.address}/x", "AAAA", "BBBB")), lambda: True)

    assert problem.value.for_good
    assert receiver.got == []


@pytest.mark.parametrize(
    ("endpoint", "may"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc", True),
        ("https://updates.push.services.mozilla.com/wpush/v2/x", True),
        ("http://fcm.googleapis.com/fcm/send/abc", False),
        ("https://evilgoogleapis.com/x", False),
        ("https://fcm.googleapis.com.evil.example/x", False),
        ("https://10.0.0.1/admin", False),
        ("http://127.0.0.1:8000/metrics", False),
        ("http://localhost/x", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_no_browser_sends_our_server_into_the_clinics_network(tmp_path, endpoint, may):
    assert may_push_to(endpoint, read_settings(data_dir=tmp_path)) is may


def test_every_installation_has_a_key_of_its_own():
    assert public_push_key(VAULT) == public_push_key(Vault(bytes(32)))
    assert public_push_key(VAULT) != public_push_key(Vault(b"1" * 32))
    assert push_key(VAULT).curve.name == "secp256r1"


def test_a_text_message_reaches_the_gateway_with_its_key(tmp_path: Path, receiver: Receiver):
    assert TextMessages(sms_settings(tmp_path, receiver)).send(SMS, lambda: True)

    heads, body = receiver.got[0]
    assert json.loads(body) == {
        "id": "k3v9m2p7x4qz",
        "to": "+49301234567",
        "text": "Open until 3:00",
    }
    assert heads["idempotency-key"] == "k3v9m2p7x4qz"
    assert heads["authorization"] == "Bearer t0k3n"


@pytest.mark.parametrize(
    ("status", "for_good"), [(400, True), (422, True), (429, False), (503, False), (302, False)]
)
def test_what_a_gateway_answers_decides(tmp_path, receiver, status, for_good):
    receiver.status = status

    with pytest.raises(DeliveryError) as problem:
        TextMessages(sms_settings(tmp_path, receiver)).send(SMS, lambda: True)

    assert problem.value.for_good is for_good
    assert not problem.value.unknown


def test_a_gateway_that_falls_silent_leaves_it_unknown(tmp_path, receiver, monkeypatch):
    monkeypatch.setattr("trials.services.telephone.TIMEOUT_SECONDS", 0.2)
    receiver.stall.clear()

    with pytest.raises(DeliveryError) as problem:
        TextMessages(sms_settings(tmp_path, receiver)).send(SMS, lambda: True)

    assert problem.value.unknown


def test_a_gateway_that_is_down_is_tried_again(tmp_path: Path):
    settings = read_settings(data_dir=tmp_path, sms_url="http://127.0.0.1:9/sms")

    with pytest.raises(DeliveryError) as problem:
        TextMessages(settings).send(SMS, lambda: True)

    assert not problem.value.unknown
    assert not problem.value.for_good
