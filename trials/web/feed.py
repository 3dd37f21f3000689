"""What programs fetch: a patient's calendar by its secret address, and metrics for a monitor."""

from hmac import compare_digest

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from trials.services import feed, metrics, reach
from trials.web.access import public
from trials.web.edge import now, settings, transaction, vault

bp = Blueprint("feed", __name__)


@bp.get("/calendar/<secret>.ics")
@public
def calendar(secret: str) -> ResponseReturnValue:
    """Give a patient's calendar to whoever knows its address: calendar programs cannot sign in."""
    with transaction() as session:
        patient = reach.patient_of_calendar(session, vault(), secret)
        content = feed.write_calendar(session, patient, address=settings().address, now=now())
    return Response(content, mimetype="text/calendar")


@bp.get("/metrics")
@public
def show_metrics() -> ResponseReturnValue:
    """Give queue lengths and ages to a Prometheus server that knows the token."""
    expected = settings().metrics_token
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not expected:
        abort(404)
    if not compare_digest(given.encode(), expected.encode()):
        abort(401)
    with transaction() as session:
        text = metrics.write_metrics(session, now=now())
    return Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)
