"""How a message leaves the house: into a folder, to a mail server, or to a telephone.

A mail server cannot be asked whether it has taken a message. So ``Smtp`` does all that can
fail first (connection, log-in, sender, recipient) and calls ``before_handover`` at the last
moment, between the server's "go on" and the one write that hands the text over. What is
written down there tells a crash before that moment, after which sending again is safe, from
one after it.
"""

import os
import re
import smtplib
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import Protocol

from trials.settings import Settings

MAIL_FOLDER = "mail"
SMTP_TIMEOUT_SECONDS = 20.0
_GO_ON = 354
_TAKEN = 250
_LINE_START_DOT = re.compile(rb"^\.", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PushTarget:
    """A browser that takes push messages, as it described itself."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as a transport sees it.

    Attributes:
        public_id: its name in files and headers; the same at every attempt.
        recipient: e-mail address or telephone number.
        subject: one line.
        body: plain text.
        written_at: UTC instant for the date in its head.
        channel: "email", "sms" or "push".
        topic: what it is about, in at most 32 letters and digits; of two push messages about
            the same, the newer takes the place of the older.
        void_after: UTC instant from which it helps nobody.
        target: the browser, for a push message.
    """

    public_id: str
    recipient: str
    subject: str
    body: str
    written_at: datetime
    channel: str = "email"
    topic: str = ""
    void_after: datetime | None = None
    target: PushTarget | None = None


class DeliveryError(Exception):
    """A message was not taken.

    Attributes:
        for_good: whether trying again is useless, such as for an address that does not exist.
        unknown: whether it may have been taken after all (the answer never came).
    """

    def __init__(self, reason: str, *, for_good: bool = False, unknown: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good
        self.unknown = unknown


class Transport(Protocol):
    """A way out."""

    def send(self, mail: Mail, before_handover: Callable[[], bool]) -> bool:
        """Send one message; return False if ``before_handover`` forbade it.

        A transport for which sending twice is the same as sending once need not ask.

        Raises:
            DeliveryError: it was not taken, or nobody knows.
        """
        ...


@dataclass(frozen=True)
class FileDrop:
    """Writes each message as a file named after it: a second time overwrites the first."""

    folder: Path
    sender: str

    def send(self, mail: Mail, before_handover: Callable[[], bool]) -> bool:
        """Write the file whole or not at all."""
        content = compose(mail, self.sender).as_bytes(policy=SMTP)
        draft = self.folder / f".{mail.public_id}.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.folder / f"{mail.public_id}.eml")
        except OSError as problem:
            raise DeliveryError(f"the mail folder: {problem}") from problem
        return True


@dataclass(frozen=True)
class Smtp:
    """Hands each message to a mail server."""

    settings: Settings

    def send(self, mail: Mail, before_handover: Callable[[], bool]) -> bool:
        """Hand one message over in a connection of its own."""
        message = compose(mail, self.settings.mail_from)
        try:
            content = message.as_bytes(policy=SMTP)
            server = self._connect()
            try:
                return _hand_over(server, self.settings, mail, content, before_handover)
            finally:
                server.close()
        except UnicodeEncodeError as problem:
            raise DeliveryError(
                f"an address with signs outside ASCII: {problem}", for_good=True
            ) from problem
        except (smtplib.SMTPException, OSError) as problem:
            raise DeliveryError(f"the mail server: {problem}") from problem

    def _connect(self) -> smtplib.SMTP:
        settings = self.settings
        name = _domain(settings.mail_from)  # otherwise each connection asks the DNS for our own
        server: smtplib.SMTP
        if settings.smtp_security == "tls":
            server = smtplib.SMTP_SSL(
                settings.smtp_host,
                settings.smtp_port,
                local_hostname=name,
                timeout=SMTP_TIMEOUT_SECONDS,
                context=ssl.create_default_context(),
            )
        else:
            server = smtplib.SMTP(
                settings.smtp_host,
                settings.smtp_port,
                local_hostname=name,
                timeout=SMTP_TIMEOUT_SECONDS,
            )
        if settings.smtp_security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
        return server


def mail_transport_of(settings: Settings) -> Transport:
    """Return the way out for e-mail that the settings name."""
    if settings.mail_transport == "smtp":
        return Smtp(settings)
    return FileDrop(settings.data_dir / MAIL_FOLDER, settings.mail_from)


@dataclass(frozen=True)
class ByChannel:
    """Gives each message to the way out of its channel."""

    ways: Mapping[str, Transport]

    def send(self, mail: Mail, before_handover: Callable[[], bool]) -> bool:
        """Send one message by the way it is meant for."""
        return self.ways[mail.channel].send(mail, before_handover)


def compose(mail: Mail, sender: str) -> EmailMessage:
    """Return the message with its head.

    The Message-ID is made from the public id, in ASCII: every attempt has the same, so a
    receiver can tell a repetition.

    Raises:
        DeliveryError: the address or the subject cannot stand in a head.
    """
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = mail.recipient
        message["Subject"] = mail.subject
    except ValueError as problem:
        raise DeliveryError(f"its head: {problem}", for_good=True) from problem
    message["Date"] = mail.written_at
    message["Message-ID"] = f"<{mail.public_id}@{_domain(sender)}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body, cte="7bit" if mail.body.isascii() else "quoted-printable")
    return message


def _domain(sender: str) -> str:
    host = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return host.encode("idna").decode("ascii")


def _hand_over(
    server: smtplib.SMTP,
    settings: Settings,
    mail: Mail,
    content: bytes,
    before_handover: Callable[[], bool],
) -> bool:
    """Speak SMTP up to the point of no return, ask, and go past it."""
    server.ehlo_or_helo_if_needed()
    _expect(server.mail(parseaddr(settings.mail_from)[1]), "the sender")
    _expect(server.rcpt(mail.recipient), "the recipient")
    code, answer = server.docmd("DATA")
    if code != _GO_ON:
        raise DeliveryError(_said(code, answer), for_good=code >= 500)
    if not before_handover():
        return False  # hanging up before the end of the text: the server takes nothing
    try:
        server.send(_LINE_START_DOT.sub(b"..", content) + b".\r\n")
        code, answer = server.getreply()
    except (smtplib.SMTPException, OSError) as problem:
        raise DeliveryError(f"the mail server did not answer: {problem}", unknown=True) from problem
    if code != _TAKEN:
        raise DeliveryError(_said(code, answer), for_good=code >= 500)
    with suppress(smtplib.SMTPException, OSError):
        server.putcmd("quit")  # polite; its answer changes nothing, so nobody waits for it
    return True


def _expect(reply: tuple[int, bytes], whom: str) -> None:
    code, answer = reply
    if code not in {250, 251}:
        raise DeliveryError(f"{whom}: {_said(code, answer)}", for_good=code >= 500)


def _said(code: int, answer: bytes) -> str:
    return f"{code} {answer.decode('utf-8', 'replace')}"
