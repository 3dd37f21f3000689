"""`lenitive user`: the first administrator comes from the command line."""

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result
from sqlalchemy.orm import Session

from tests.builders import make_account, make_site
from trials.cli.main import cli
from trials.domain.blinding import Role
from trials.services import accounts
from trials.store.account import AccountRow, find_account

PASSWORD = "correct horse battery"


@pytest.fixture
def lenitive(database_url: str, monkeypatch: pytest.MonkeyPatch):
    """The command on the database of the test, with hashes that cost nothing."""
    monkeypatch.setenv("LENITIVE_DATABASE_URL", database_url)
    monkeypatch.setenv("LENITIVE_NEW_PASSWORD", PASSWORD)
    monkeypatch.setenv("COLUMNS", "200")
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts.hash_password, "__defaults__", (cheap,))

    def run(*words: str, typed: str = "") -> Result:
        return CliRunner().invoke(cli, ["user", *words], input=typed)

    return run


def found(session: Session, email: str) -> AccountRow | None:
    account = find_account(session, email)
    session.commit()
    return account


def add(lenitive, email: str = "adam@clinic.example", *more: str) -> Result:
    return lenitive("add", email, "--name", "Adam", "--role", "administrator", *more)


def test_the_first_administrator_comes_with_the_clinic(lenitive, session: Session):
    done = add(
        lenitive,
        "Adam@clinic.example",
        *("--site", "Pain clinic", "--new-site", "--timezone", "Europe/Berlin"),
    )

    assert done.exit_code == 0, done.output
    assert "adam@clinic.example is administrator at Pain clinic." in done.output
    account = found(session, "adam@clinic.example")
    assert account is not None
    assert (accounts.role_of(account), account.site.timezone) == (
        Role.ADMINISTRATOR,
        "Europe/Berlin",
    )
    assert str(account.password).startswith("$argon2id$")
    session.commit()
    listed = lenitive("list")
    assert "adam@clinic.example" in listed.output
    assert "administrator" in listed.output


def test_the_password_is_asked_for_twice(lenitive, session: Session, monkeypatch):
    monkeypatch.delenv("LENITIVE_NEW_PASSWORD")
    make_site(session)
    session.commit()

    done = lenitive(
        *("add", "a@b.example", "--name", "A", "--role", "analyst"),
        typed=f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n",
    )

    assert done.exit_code == 0, done.output
    assert PASSWORD not in done.output
    assert found(session, "a@b.example") is not None


def test_with_several_clinics_one_must_be_named(lenitive, session: Session):
    for name in ("North", "South"):
        make_site(session, name)
    session.commit()

    refused = add(lenitive)
    assert refused.exit_code == 1
    assert "known: North, South" in refused.output
    assert add(lenitive, "adam@clinic.example", "--site", "South").exit_code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("add", "nonsense", "--name", "A", "--role", "analyst"), "name@clinic.org"),
        (("deactivate", "nobody@clinic.example"), "There is no account"),
        (("password", "nobody@clinic.example"), "There is no account"),
    ],
)
def test_a_mistake_is_one_sentence(lenitive, session: Session, words, sentence: str):
    make_site(session)
    session.commit()

    refused = lenitive(*words)

    assert refused.exit_code == 1
    assert sentence in refused.output
    assert "Traceback" not in refused.output


def test_a_short_password_is_refused(lenitive, session: Session, monkeypatch):
    make_site(session)
    session.commit()
    monkeypatch.setenv("LENITIVE_NEW_PASSWORD", "short")

    refused = add(lenitive)

    assert refused.exit_code == 1
    assert "12 to 128 characters" in refused.output
    assert found(session, "adam@clinic.example") is None


def test_an_account_is_shut_out_and_gets_another_password(lenitive, session: Session):
    account = make_account(session, make_site(session), Role.ANALYST)
    account.email = "ana@clinic.example"
    session.commit()
    before = account.fs_uniquifier

    assert lenitive("deactivate", "Ana@clinic.example").exit_code == 0
    assert lenitive("password", "ana@clinic.example").exit_code == 0

    session.expire_all()
    assert not account.active
    assert account.password is not None
    assert account.fs_uniquifier != before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_empty_database_says_what_to_run(lenitive, tmp_path, monkeypatch):
    monkeypatch.setenv("LENITIVE_DATABASE_URL", f"sqlite:///{tmp_path}/new.sqlite")

    refused = lenitive("list")

    assert refused.exit_code == 1
    assert "lenitive db upgrade" in refused.output
