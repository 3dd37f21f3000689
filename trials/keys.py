"""The master key and what is derived from it: one secret to guard, one key per purpose."""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from trials.domain.errors import AllocationError
from trials.domain.words import marked as _
from trials.settings import Settings, SettingsError

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_FILE = "master.key"


class Vault:
    """Seals what must not be read in the database, with one derived key per purpose."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise SettingsError("The master key has 32 bytes (64 hexadecimal digits).")
        self._master_key = master_key

    def derive(self, purpose: str, length: int = KEY_BYTES) -> bytes:
        """Return the key of a purpose (HKDF-SHA256), the same every time."""
        info = f"lenitive {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(
            self._master_key
        )

    def seal(self, purpose: str, content: bytes, context: str) -> bytes:
        """Return ``content`` encrypted (AES-256-GCM), bound to its purpose and context.

        Args:
            purpose: which key, such as "allocation code".
            content: what to hide.
            context: where it belongs, such as the protocol hash: elsewhere it will not open.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self.derive(purpose)).encrypt(nonce, content, context.encode())

    def open(self, purpose: str, sealed: bytes, context: str) -> bytes:
        """Return what was sealed.

        Raises:
            AllocationError: another key, another context, or changed bytes.
        """
        nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self.derive(purpose)).decrypt(nonce, body, context.encode())
        except InvalidTag as problem:
            raise AllocationError(
                _("This sealed record does not open: the master key is another, or it was changed.")
            ) from problem


def open_vault(settings: Settings) -> Vault:
    """Return the vault of this installation; its key file is made at the first start."""
    if settings.master_key:
        return Vault(bytes.fromhex(settings.master_key))
    return Vault(_read_or_make(settings.data_dir / KEY_FILE))


def _read_or_make(path: Path) -> bytes:
    """Return the key in the file; two processes that start together agree on one key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was first; its key stands
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path} can be read by others. Run: chmod 600 {path}")
    return bytes.fromhex(path.read_text().strip())
