"""The ledger's tables: the queue itself, and the record of every text.

Times are integers, milliseconds since 1970 in UTC, in columns named `…_ms`: the same on SQLite and PostgreSQL, and
cheap by the ten thousand. Points and costs are integers too, in ten-thousandths of a point (`Points`).

A state belongs to the chunk; a message that is in one (`chunk_id`) has the chunk's state until it is final, so
nothing is written row by row on the way out. A message waits exactly while `due_ms` is set.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    false,
    text,
)

#: The newest migration: what makes these tables.
REVISION = "0002"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

POINT_UNITS = 10_000


class Points(TypeDecorator[Decimal]):
    """A Decimal of points, kept as an integer of ten-thousandths: SQLite has no decimals."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Points to units."""
        return None if value is None else int((value * POINT_UNITS).to_integral_value())

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Units to points."""
        return None if value is None else Decimal(value) / POINT_UNITS


#: An integer key that counts by itself; SQLite does that for INTEGER only.
Serial = BigInteger().with_variant(Integer, "sqlite")

account = Table(
    "account",
    metadata,
    Column("alias", String(64), primary_key=True),
    # The breaker: closed, open (a login was refused), locked (only an operator closes it).
    Column("breaker", String(8), nullable=False, server_default="closed"),
    Column("breaker_code", Integer),
    Column("breaker_ms", BigInteger),
    Column("refusals", Integer, nullable=False, server_default="0"),
    Column("salt", String(32), nullable=False),
    Column("fingerprint", String(64)),
    # Logins begun whose end nobody wrote down: a process died, or could not write.
    Column("logins_begun", Integer, nullable=False, server_default="0"),
    # Nothing of it goes out until it is resumed. By an operator's name, or `gateway`, which refused us again and again
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("paused_ms", BigInteger),
    Column("paused_by", String(64)),
    Column("paused_reason", Text),
    # Operations that the gateway does not know, separated by blanks.
    Column("operations_off", Text, nullable=False, server_default=""),
    Column("credit", Points),
    Column("credit_ms", BigInteger),
    Column("used_ms", BigInteger),
    # The least credit since the gateway last left a message unsent; what is held for want of credit waits for more.
    Column("short_credit", Points),
    # When it last left one unsent, and since when the credit has been above `short_credit` again.
    Column("short_ms", BigInteger),
    Column("topped_ms", BigInteger),
    # When a sweep last asked for the credit because something is held; empty: it is to be asked for now.
    Column("credit_asked_ms", BigInteger),
    # The low-credit alarm stands since.
    Column("low_credit_ms", BigInteger),
    # The gate: until then no send and no erasure begins, because a reconciler compares credits.
    Column("gate_ms", BigInteger),
    Column("gate_by", String(128)),
    # When the gate was last closed: once a minute at most.
    Column("gate_closed_ms", BigInteger),
    # The credit while nothing was under way, and when that was: what credit arithmetic starts from.
    Column("baseline", Points),
    Column("baseline_ms", BigInteger),
    # The lowest credit that getCredit has said since: where it is higher later, points were added or came back.
    Column("lowest", Points),
    # When a reconciler last set about comparing credits: so that two of them take turns.
    Column("compared_ms", BigInteger),
    # When points were last gone that no call of ours explains: somebody else spends, so the credit proves nothing.
    Column("doubt_ms", BigInteger),
    # When the answer to an eraseBooking was last lost: the gateway may still be executing it.
    Column("erase_lost_ms", BigInteger),
)

lane = Table(
    "lane",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("lane", String(8), primary_key=True),
    # Nothing of this lane goes out before: the gateway was unreachable or busy.
    Column("resume_ms", BigInteger, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("reason", Text),
    # As an account; or by `limit`, where the account's points are spent
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("paused_ms", BigInteger),
    Column("paused_by", String(64)),
    Column("paused_reason", Text),
    # Points spent before do not count against the account's limits: an operator resumed the lane then.
    Column("limit_since_ms", BigInteger, nullable=False, server_default="0"),
)

request = Table(
    "request",
    metadata,
    Column("id", Uuid(), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("lane", String(8), nullable=False),
    # staged, ready, abandoned, refused, cancelled
    Column("state", String(10), nullable=False),
    Column("text", Text),
    Column("subject", Text, nullable=False, server_default=""),
    Column("send_at_ms", BigInteger),
    Column("schedule", String(8), nullable=False, server_default="ledger"),
    Column("validity_min", Integer),
    Column("deadline_ms", BigInteger),
    Column("duplicates", Boolean, nullable=False, server_default=false()),
    # Messages with the same pack key may share a gateway call.
    Column("pack_key", String(64), nullable=False),
    Column("header_hash", String(64), nullable=False),
    Column("seal_hash", String(64)),
    Column("pages", Integer),
    Column("size", Integer),
    # No waiting message of this request is due before; empty when none waits, or while it is staged.
    Column("next_due_ms", BigInteger),
    Column("enqueued_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("sealed_ms", BigInteger),
    Column("cancelled_ms", BigInteger),
    Column("reason", Text),
    # Nothing of it is claimed while this is set, by an operator or for want of credit.
    Column("paused_ms", BigInteger),
    Column("paused_by", String(64)),
    Column("paused_reason", Text),
    # What was found when its price was held against the credit: held, covered, or an operator's word (see worker.funds)
    Column("funds", String(8)),
    # What its waiting messages cost then, in whole points.
    Column("points", BigInteger),
    Index(
        "ix_request_due",
        "account",
        "lane",
        "next_due_ms",
        "id",
        sqlite_where=text("next_due_ms IS NOT NULL AND paused_ms IS NULL"),
        postgresql_where=text("next_due_ms IS NOT NULL AND paused_ms IS NULL"),
    ),
    Index(
        "ix_request_paused",
        "account",
        "paused_ms",
        sqlite_where=text("paused_ms IS NOT NULL"),
        postgresql_where=text("paused_ms IS NOT NULL"),
    ),
    Index(
        "ix_request_staged",
        "created_ms",
        sqlite_where=text("state = 'staged'"),
        postgresql_where=text("state = 'staged'"),
    ),
)

page = Table(
    "page",
    metadata,
    Column("request_id", Uuid(), ForeignKey("request.id"), primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("size", Integer, nullable=False),
)

chunk = Table(
    "chunk",
    metadata,
    # Time-ordered and unique (see worker.token); its base-32 form is the token in the subject.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("account", String(64), nullable=False),
    Column("lane", String(8), nullable=False),
    # submitting, accepted, unknown, not_sent, refused
    Column("state", String(10), nullable=False),
    Column("operation", String(16), nullable=False),
    Column("size", Integer, nullable=False),
    Column("points", Points),
    Column("send_time_ms", BigInteger),
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("worker", String(128), nullable=False),
    Column("claimed_ms", BigInteger, nullable=False),
    Column("lease_ms", BigInteger, nullable=False),
    Column("answered_ms", BigInteger),
    # The gateway's answer
    Column("batch_id", String(64)),
    Column("credit", Points),
    Column("sended", Integer),
    Column("cost", Points),
    Column("unsend", Integer),
    Column("raw", Text),
    Column("code", Integer),
    Column("why", Text),
    # An unknown that was settled: by an operator's name, `callback`, `credit`, or `setting`
    Column("settled_by", String(64)),
    Column("settled_why", Text),
    Column("settled_ms", BigInteger),
    # What the credit could not prove of an unknown one, when it was last compared (see worker.evidence.Reason)
    Column("evidence", String(16)),
    # Polling
    Column("next_poll_ms", BigInteger),
    Column("poll_lease_ms", BigInteger),
    Column("poll_page", Integer, nullable=False, server_default="1"),
    Column("polls", Integer, nullable=False, server_default="0"),
    # When the last poll of all its pages began, and how many rows there were.
    Column("polled_ms", BigInteger),
    Column("polled_rows", Integer),
    # How many of its messages are not final yet
    Column("pending", Integer),
    Column("final_ms", BigInteger),
    # Erasing a booking: wanted, asking, erased, too_late, unknown
    Column("erase", String(8)),
    Column("erase_ms", BigInteger),
    Column("erased", Integer),
    Column("points_back", Points),
    Index(
        "ix_chunk_lease",
        "lease_ms",
        sqlite_where=text("state = 'submitting'"),
        postgresql_where=text("state = 'submitting'"),
    ),
    Index(
        "ix_chunk_poll",
        "account",
        "next_poll_ms",
        sqlite_where=text("next_poll_ms IS NOT NULL"),
        postgresql_where=text("next_poll_ms IS NOT NULL"),
    ),
    Index(
        "ix_chunk_unknown",
        "account",
        "id",
        sqlite_where=text("state = 'unknown'"),
        postgresql_where=text("state = 'unknown'"),
    ),
    Index(
        "ix_chunk_erase",
        "erase_ms",
        sqlite_where=text("erase_ms IS NOT NULL"),
        postgresql_where=text("erase_ms IS NOT NULL"),
    ),
    Index("ix_chunk_batch", "batch_id"),
)

message = Table(
    "message",
    metadata,
    # No foreign keys here: their triggers run for each row, and each writer of messages writes the other side in
    # the same transaction.
    Column("request_id", Uuid(), primary_key=True),
    # page * 1000 + place in the page
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("number", String(20), nullable=False),
    # Empty where the request's text is the message's.
    Column("text", Text),
    Column("name", Text),
    Column("email", Text),
    Column("points", SmallInteger, nullable=False),
    Column("due_ms", BigInteger),
    Column("chunk_id", BigInteger),
    # 1 … size: the running number (MR) in the batch.
    Column("position", SmallInteger),
    # waiting, packed, and the final ones (see worker.states)
    Column("state", String(12), nullable=False),
    # The gateway's delivery status, raw number
    Column("status", Integer),
    Column("cost", Points),
    Column("sent_ms", BigInteger),
    Column("final_ms", BigInteger),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    # While a refused chunk is halved: only messages with the same number go out together.
    Column("part", BigInteger),
    Column("code", Integer),
    Index(
        "ix_message_waiting",
        "request_id",
        "due_ms",
        "seq",
        sqlite_where=text("due_ms IS NOT NULL"),
        postgresql_where=text("due_ms IS NOT NULL"),
    ),
    Index(
        "ix_message_chunk",
        "chunk_id",
        sqlite_where=text("chunk_id IS NOT NULL"),
        postgresql_where=text("chunk_id IS NOT NULL"),
    ),
    # Those that the gateway left unsent for want of credit, held for a top-up.
    Index(
        "ix_message_unpaid",
        "request_id",
        sqlite_where=text("state = 'no_credit' AND final_ms IS NULL"),
        postgresql_where=text("state = 'no_credit' AND final_ms IS NULL"),
    ),
)

# Written only for accounts with a cap on texts to one number; rows older than a day are dropped.
number_use = Table(
    "number_use",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("account", String(64), nullable=False),
    Column("number", String(20), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("chunk_id", BigInteger, nullable=False),
    Index("ix_number_use_number", "account", "number", "at_ms"),
    Index("ix_number_use_chunk", "chunk_id"),
    Index("ix_number_use_at", "at_ms"),
)

# What the gateway's callbacks brought, stored before anything is made of it.
inbox = Table(
    "inbox",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("account", String(64), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("batch_id", String(64)),
    # The chunk that the token in the subject names.
    Column("token", BigInteger),
    # MR, 1 … size
    Column("position", Integer),
    Column("number", String(20), nullable=False, server_default=""),
    # The delivery status, raw number; 999 is a reply.
    Column("status", Integer),
    Column("sent_ms", BigInteger),
    Column("reported_ms", BigInteger),
    # The reply's words; an ordinary report's text is the one that was sent, and is not kept.
    Column("text", Text),
    Column("cost", Points),
    # Every parameter that came, as JSON, but for the text of an ordinary report.
    Column("fields", Text, nullable=False),
    # Of all that came: the gateway repeats a report until it hears 200, and each is stored once.
    Column("digest", String(64), nullable=False),
    # waiting, matched, unmatched (looked for in vain, and looked for again at `look_ms` while that is set)
    Column("state", String(10), nullable=False, server_default="waiting"),
    Column("look_ms", BigInteger),
    Column("looks", Integer, nullable=False, server_default="0"),
    Column("reason", Text),
    Column("matched_ms", BigInteger),
    Column("chunk_id", BigInteger),
    Column("request_id", Uuid()),
    Column("seq", Integer),
    UniqueConstraint("digest"),
    Index(
        "ix_inbox_look",
        "look_ms",
        "id",
        sqlite_where=text("look_ms IS NOT NULL"),
        postgresql_where=text("look_ms IS NOT NULL"),
    ),
    Index("ix_inbox_account", "account", "received_ms"),
    Index(
        "ix_inbox_unmatched",
        "account",
        "id",
        sqlite_where=text("state = 'unmatched'"),
        postgresql_where=text("state = 'unmatched'"),
    ),
)

reply = Table(
    "reply",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("account", String(64), nullable=False),
    Column("batch_id", String(64), nullable=False),
    Column("number", String(20), nullable=False),
    Column("text", Text, nullable=False),
    Column("replied_ms", BigInteger),
    Column("stored_ms", BigInteger, nullable=False),
    Column("request_id", Uuid()),
    Column("seq", Integer),
    # Of batch, number, time and text: however often a reply comes, it is stored once.
    Column("digest", String(64), nullable=False),
    UniqueConstraint("digest"),
    Index("ix_reply_account", "account", "stored_ms"),
)

event = Table(
    "event",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("account", String(64)),
    Column("lane", String(8)),
    Column("request_id", Uuid()),
    Column("chunk_id", BigInteger),
    # For people; never a number, a text or a secret.
    Column("detail", Text, nullable=False, server_default=""),
    Index("ix_event_at", "at_ms"),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("task", String(64), nullable=False),
    Column("task_id", String(64)),
    Column("request_id", Uuid()),
    Column("account", String(64)),
    Column("page", Integer),
    Column("messages", Integer),
    Column("reason", Text, nullable=False),
    # What was published, for whoever has to mend the publisher. It may hold numbers and texts.
    Column("body", Text, nullable=False),
)
