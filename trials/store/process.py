"""Long-lived processes and when they were last seen."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from trials.store.base import Base


class ProcessRow(Base, kw_only=True):
    """A scheduler or worker process and its last tick, for the administrator's page."""

    __tablename__ = "process"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
