"""Everything that can be set from outside, read from the environment once.

A wrong value stops the start with a sentence instead of failing later at night.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(ValueError):
    """A setting has a value that cannot be used."""


class Settings(BaseSettings):
    """The settings; each is read from ``LENITIVE_`` + its name in capitals.

    Attributes:
        data_dir: folder of the embedded database, keys, draws and dropped mail.
        compiled_dir: folder of compiled models; empty means ``data_dir``/compiled.
        database_url: SQLAlchemy address; empty means SQLite in ``data_dir``.
        public_url: address under which people reach the site, used in links of e-mails.
        host: address the web server listens on.
        port: port the web server listens on; 0 lets the system choose.
        proxies: reverse proxies in front of the web server whose forwarded headers are believed.
        web_workers: web server processes.
        web_threads: threads of each web process.
        fit_workers: processes that run analyses.
        master_key: 64 hexadecimal digits; empty means the key file in ``data_dir``.
        mail_transport: "file" drops messages into ``data_dir``/mail, "smtp" sends them.
        smtp_host: mail server.
        smtp_port: its port.
        smtp_user: account on the mail server, empty for none.
        smtp_password: password of that account.
        smtp_security: "none", "starttls" or "tls".
        mail_from: sender of all messages.
        sms_url: address of a gateway for text messages; empty means that none are sent.
        sms_token: what the gateway knows us by.
        push_hosts: push services that browsers may name, separated by commas; empty for none.
        metrics_token: what a Prometheus server knows itself by; empty means that no metrics
            are shown.
        secure_cookies: whether cookies are sent over https only; False only for plain http
            on one's own machine.
        tick_seconds: how often the scheduler asks what is due.
        log_level: "debug", "info", "warning" or "error".
    """

    model_config = SettingsConfigDict(env_prefix="LENITIVE_", frozen=True, extra="ignore")

    data_dir: Path = Path("var")
    compiled_dir: Path | None = None
    database_url: str = ""
    public_url: HttpUrl | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    proxies: Annotated[int, Field(ge=0, le=5)] = 0
    web_workers: PositiveInt = 2
    web_threads: PositiveInt = 4
    fit_workers: PositiveInt = 1
    master_key: str = Field(default="", pattern=r"^([0-9a-fA-F]{64})?$", repr=False)
    mail_transport: Literal["file", "smtp"] = "file"
    smtp_host: str = "localhost"
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 25
    smtp_user: str = ""
    smtp_password: str = Field(default="", repr=False)
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    mail_from: str = "Lenitive <lenitive@localhost>"
    sms_url: HttpUrl | None = None
    sms_token: str = Field(default="", repr=False)
    push_hosts: str = "googleapis.com,push.services.mozilla.com,notify.windows.com,push.apple.com"
    metrics_token: str = Field(default="", repr=False)
    secure_cookies: bool | None = None
    tick_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @cached_property
    def database(self) -> str:
        """Address of the database; the embedded one by default."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'lenitive.sqlite').resolve()}"

    @cached_property
    def compiled(self) -> Path:
        """Folder of compiled models, which all processes that run analyses share."""
        return (self.compiled_dir or self.data_dir / "compiled").resolve()

    @cached_property
    def address(self) -> str:
        """Address people use, without a slash at the end."""
        if self.public_url is not None:
            return str(self.public_url).rstrip("/")
        return f"http://{self.host}:{self.port}"

    @cached_property
    def cookies_secure(self) -> bool:
        """Whether cookies go over https only: always, unless the address is plain http."""
        if self.secure_cookies is not None:
            return self.secure_cookies
        return self.address.startswith("https://")


def read_settings(**overrides: object) -> Settings:
    """Return the settings of this environment.

    Raises:
        SettingsError: a sentence for every value that cannot be used.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as problems:
        sentences = [
            f"LENITIVE_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}."
            for problem in problems.errors(include_url=False)
        ]
        raise SettingsError("\n".join(sentences)) from None
