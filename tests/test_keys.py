"""One secret to guard: made once, readable by its owner alone, and never in the database."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trials.domain.errors import AllocationError
from trials.keys import KEY_FILE, Vault, open_vault
from trials.settings import Settings, SettingsError, read_settings


def _settings(folder: Path, **more: object) -> Settings:
    return Settings(data_dir=folder, **more)


def test_the_first_start_makes_a_key_file_for_its_owner_alone(tmp_path: Path):
    sealed = open_vault(_settings(tmp_path)).seal("purpose", b"secret", context="here")

    mode = stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode)
    assert mode == 0o600
    assert open_vault(_settings(tmp_path)).open("purpose", sealed, context="here") == b"secret"
    assert [p.name for p in tmp_path.iterdir()] == [KEY_FILE], "no draft is left behind"


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        vaults = list(pool.map(lambda _n: open_vault(_settings(tmp_path)), range(16)))

    assert len({vault.derive("x") for vault in vaults}) == 1


def test_a_key_file_that_others_can_read_stops_the_start(tmp_path: Path):
    open_vault(_settings(tmp_path))
    (tmp_path / KEY_FILE).chmod(0o644)

    with pytest.raises(SettingsError, match="chmod 600"):
        open_vault(_settings(tmp_path))


def test_the_key_can_come_from_the_environment(tmp_path: Path):
    vault = open_vault(_settings(tmp_path, master_key="ab" * 32))

    assert vault.derive("x") == Vault(bytes.fromhex("ab" * 32)).derive("x")
    assert not (tmp_path / KEY_FILE).exists()


@pytest.mark.parametrize("place", [0, 5, -1])
def test_a_changed_byte_is_noticed(place: int):
    vault = Vault(bytes(32))
    sealed = bytearray(vault.seal("purpose", b"secret", context="here"))
    sealed[place] ^= 1

    with pytest.raises(AllocationError, match="does not open"):
        vault.open("purpose", bytes(sealed), context="here")


def test_every_purpose_has_its_own_key():
    vault = Vault(bytes(32))

    assert len({vault.derive(purpose) for purpose in ("a", "b", "c")}) == 3
    assert vault.seal("a", b"x", context="") != vault.seal("a", b"x", context="")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LENITIVE_PORT", "many"),
        ("LENITIVE_MASTER_KEY", "short"),
        ("LENITIVE_MAIL_TRANSPORT", "pigeon"),
        ("LENITIVE_PUBLIC_URL", "clinic"),
        ("LENITIVE_TICK_SECONDS", "0"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=name) as problem:
        read_settings()
    assert value not in str(problem.value) or name != "LENITIVE_MASTER_KEY"
