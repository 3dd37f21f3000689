"""Photos of the patient's: taken in as pixels, kept sealed, shown to the clinic alone.

What arrives is decoded and written anew, smaller. So nothing comes along that is not picture:
no place, no camera, no name (EXIF), and no file that only calls itself a photo. A photo is in
no export.
"""

import io
import warnings
from datetime import datetime

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy.orm import Session

from trials.domain.blinding import Role
from trials.domain.errors import NotFoundError, PhotoError
from trials.domain.words import marked as _
from trials.keys import Vault
from trials.services.actor import Actor, record, require_role
from trials.store.diary import DiaryDayRow, DiaryEntryRow, entry_with_key
from trials.store.photo import PhotoRow, find_photo, photo_of_entry
from trials.store.trial import TrialRow

PURPOSE = "diary photo"
LARGEST_BYTES = 12_000_000
"""As it comes from the phone: what a good camera makes."""
MOST_PIXELS = 80_000_000
LONGEST_SIDE = 1600
QUALITY = 82
FORMATS = ("JPEG", "PNG", "WEBP")
_NO_PICTURE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,
    ValueError,
    SyntaxError,  # Pillow's word for a PNG that breaks its own rules
)


def keep_photo(
    session: Session,
    vault: Vault,
    patient: Actor,
    trial: TrialRow,
    *,
    key: str,
    content: bytes,
    now: datetime,
) -> None:
    """Keep the photo of the entry that was sent under a key; the first one stands.

    Raises:
        NotFoundError: the patient has no such entry.
        PhotoError: it is no photo, or too large.
    """
    require_role(patient, Role.PATIENT)
    entry = entry_with_key(session, key)
    if entry is None or entry.author != patient.public_id or not _is_of(session, entry, trial):
        raise NotFoundError(_("There is no such report."))
    if photo_of_entry(session, entry.id) is not None:
        return
    picture = only_pixels(content)
    photo = PhotoRow(trial_id=trial.id, entry_id=entry.id, sealed=b"", received_at=now)
    photo.sealed = vault.seal(PURPOSE, picture, context=photo.public_id)
    session.add(photo)
    session.flush()
    day = session.get_one(DiaryDayRow, entry.diary_day_id).day
    record(
        session,
        patient,
        "add_photo",
        f"diary:{trial.public_id}/{day.isoformat()}",
        now,
        trial=trial,
        after={"photo": photo.public_id, "bytes": len(picture)},
    )


def open_photo(
    session: Session, vault: Vault, clinician: Actor, trial: TrialRow, public_id: str
) -> bytes:
    """Return a photo as JPEG to a clinician of the trial's site.

    Raises:
        NotFoundError: there is none with this id in this trial.
    """
    require_role(clinician, Role.CLINICIAN)
    photo = find_photo(session, trial.id, public_id)
    if photo is None or trial.site_id != clinician.site_id:
        raise NotFoundError(_("There is no such photo."))
    return vault.open(PURPOSE, photo.sealed, context=photo.public_id)


def only_pixels(content: bytes) -> bytes:
    """Return a photo written anew as JPEG: upright, at most 1600 pixels long, without EXIF.

    Raises:
        PhotoError: it is none, or it is too large.
    """
    if len(content) > LARGEST_BYTES:
        raise PhotoError(_("This photo is too large. Please take a smaller one (12 MB at most)."))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise PhotoError(
                        _("This photo has too many pixels. Please take a smaller one.")
                    )
                opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
                picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (*_NO_PICTURE, Warning) as problem:
        raise PhotoError(
            _("This is no photo that can be read. Please send a JPEG, PNG or WebP picture.")
        ) from problem
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    clean = Image.new("RGB", picture.size)
    clean.paste(picture)
    written = io.BytesIO()
    clean.save(written, "JPEG", quality=QUALITY, optimize=True)
    return written.getvalue()


def _is_of(session: Session, entry: DiaryEntryRow, trial: TrialRow) -> bool:
    return session.get_one(DiaryDayRow, entry.diary_day_id).trial_id == trial.id
