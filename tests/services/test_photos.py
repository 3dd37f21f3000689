"""A photo is taken as pixels, kept sealed, and shown to the clinic alone."""

import io
from uuid import uuid4

import pytest
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from tests.builders import VAULT, fill_day, make_actor, make_running, make_site, patient_actor
from trials.domain.blinding import Role
from trials.domain.errors import NotAllowedError, NotFoundError, PhotoError
from trials.services.photos import LONGEST_SIDE, keep_photo, only_pixels, open_photo
from trials.store.photo import PhotoRow, photo_of_entry
from trials.store.trial import TrialRow

PLACE = "52.5200 N 13.4050 E"


def a_photo(kind: str = "JPEG", size: tuple[int, int] = (320, 240)) -> bytes:
    """Return a small picture with a place in its EXIF part, lying on its side."""
    written = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    exif[0x010E] = PLACE
    Image.new("RGB", size, (200, 40, 40)).save(written, kind, exif=exif)
    return written.getvalue()


@pytest.fixture
def clinician(session: Session):
    return make_actor(session, make_site(session), Role.CLINICIAN)


@pytest.fixture
def trial(session: Session, clinician, now):
    return make_running(session, clinician, now)


def keep(session: Session, trial: TrialRow, now, content: bytes, key: str) -> None:
    keep_photo(
        session, VAULT, patient_actor(trial.patient), trial, key=key, content=content, now=now
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_written_anew_upright_small_and_without_its_place(kind: str):
    assert PLACE.encode() in a_photo(kind)

    clean = only_pixels(a_photo(kind, (4000, 1000)))

    with Image.open(io.BytesIO(clean)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (LONGEST_SIDE // 4, LONGEST_SIDE))
        assert not picture.getexif()
    assert PLACE.encode() not in clean


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"\xff\xd8\xff\xe0 nothing behind the head of a JPEG",
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
        a_photo()[:400],
        b"x" * 12_000_001,
    ],
    ids=["nothing", "a drawing", "a head alone", "a film", "half a photo", "too large"],
)
def test_what_is_no_photo_is_refused_with_a_sentence(content: bytes):
    with pytest.raises(PhotoError, match=r"photo"):
        only_pixels(content)


def test_a_picture_that_unfolds_beyond_measure_is_refused():
    written = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(written, "PNG")  # fifty kilobytes, 400 million pixels

    with pytest.raises(PhotoError):
        only_pixels(written.getvalue())


def test_the_photo_is_sealed_and_only_the_clinic_opens_it(session: Session, clinician, trial, now):
    key = uuid4().hex
    fill_day(session, trial, trial.start_day, key=key)
    keep(session, trial, now, a_photo(), key)
    keep(session, trial, now, a_photo("PNG"), key)

    photo = session.scalars(select(PhotoRow).options(undefer(PhotoRow.sealed))).one()
    assert b"JFIF" not in photo.sealed
    assert b"JFIF" in open_photo(session, VAULT, clinician, trial, photo.public_id)
    for role in (Role.ANALYST, Role.PHARMACIST, Role.ADMINISTRATOR, Role.PATIENT):
        with pytest.raises(NotAllowedError):
            open_photo(
                session, VAULT, make_actor_or_patient(session, trial, role), trial, photo.public_id
            )
    stranger = make_actor(session, make_site(session, "Elsewhere"), Role.CLINICIAN)
    with pytest.raises(NotFoundError):
        open_photo(session, VAULT, stranger, trial, photo.public_id)


def make_actor_or_patient(session: Session, trial: TrialRow, role: Role):
    if role is Role.PATIENT:
        return patient_actor(trial.patient)
    return make_actor(session, trial.site, role)


def test_a_photo_belongs_to_ones_own_report(session: Session, clinician, trial, now):
    other = make_running(session, clinician, now)
    key = uuid4().hex
    fill_day(session, trial, trial.start_day, key=key)

    with pytest.raises(NotFoundError):
        keep(session, other, now, a_photo(), key)
    with pytest.raises(NotFoundError):
        keep(session, trial, now, a_photo(), uuid4().hex)
    assert session.scalars(select(PhotoRow.id)).all() == []
    assert photo_of_entry(session, 1) is None
