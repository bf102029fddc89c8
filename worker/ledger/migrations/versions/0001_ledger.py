"""The first ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("alias", sa.String(length=64), nullable=False),
        sa.Column("breaker", sa.String(length=8), server_default="closed", nullable=False),
        sa.Column("breaker_code", sa.Integer(), nullable=True),
        sa.Column("breaker_ms", sa.BigInteger(), nullable=True),
        sa.Column("refusals", sa.Integer(), server_default="0", nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("logins_begun", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("operations_off", sa.Text(), server_default="", nullable=False),
        sa.Column("credit", sa.BigInteger(), nullable=True),
        sa.Column("credit_ms", sa.BigInteger(), nullable=True),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_account")),
    )
    op.create_table(
        "chunk",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("operation", sa.String(length=16), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=True),
        sa.Column("send_time_ms", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("claimed_ms", sa.BigInteger(), nullable=False),
        sa.Column("lease_ms", sa.BigInteger(), nullable=False),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.Column("batch_id", sa.String(length=64), nullable=True),
        sa.Column("credit", sa.BigInteger(), nullable=True),
        sa.Column("sended", sa.Integer(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("unsend", sa.Integer(), nullable=True),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("settled_by", sa.String(length=64), nullable=True),
        sa.Column("settled_why", sa.Text(), nullable=True),
        sa.Column("settled_ms", sa.BigInteger(), nullable=True),
        sa.Column("next_poll_ms", sa.BigInteger(), nullable=True),
        sa.Column("poll_lease_ms", sa.BigInteger(), nullable=True),
        sa.Column("poll_page", sa.Integer(), server_default="1", nullable=False),
        sa.Column("polls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pending", sa.Integer(), nullable=True),
        sa.Column("final_ms", sa.BigInteger(), nullable=True),
        sa.Column("erase", sa.String(length=8), nullable=True),
        sa.Column("erase_ms", sa.BigInteger(), nullable=True),
        sa.Column("erased", sa.Integer(), nullable=True),
        sa.Column("points_back", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunk")),
    )
    with op.batch_alter_table("chunk", schema=None) as batch_op:
        batch_op.create_index("ix_chunk_batch", ["batch_id"], unique=False)
        batch_op.create_index(
            "ix_chunk_erase",
            ["erase_ms"],
            unique=False,
            sqlite_where=sa.text("erase_ms IS NOT NULL"),
            postgresql_where=sa.text("erase_ms IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_chunk_lease",
            ["lease_ms"],
            unique=False,
            sqlite_where=sa.text("state = 'submitting'"),
            postgresql_where=sa.text("state = 'submitting'"),
        )
        batch_op.create_index(
            "ix_chunk_poll",
            ["account", "next_poll_ms"],
            unique=False,
            sqlite_where=sa.text("next_poll_ms IS NOT NULL"),
            postgresql_where=sa.text("next_poll_ms IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_chunk_unknown",
            ["account", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'unknown'"),
            postgresql_where=sa.text("state = 'unknown'"),
        )

    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("messages", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=True),
        sa.Column("lane", sa.String(length=8), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("chunk_id", sa.BigInteger(), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_at", ["at_ms"], unique=False)

    op.create_table(
        "lane",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("resume_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account", "lane", name=op.f("pk_lane")),
    )
    op.create_table(
        "message",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("points", sa.SmallInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("chunk_id", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.SmallInteger(), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.Column("final_ms", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", "seq", name=op.f("pk_message")),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(
            "ix_message_chunk",
            ["chunk_id"],
            unique=False,
            sqlite_where=sa.text("chunk_id IS NOT NULL"),
            postgresql_where=sa.text("chunk_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_message_waiting",
            ["request_id", "due_ms", "seq"],
            unique=False,
            sqlite_where=sa.text("due_ms IS NOT NULL"),
            postgresql_where=sa.text("due_ms IS NOT NULL"),
        )

    op.create_table(
        "reply",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("replied_ms", sa.BigInteger(), nullable=True),
        sa.Column("stored_ms", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reply")),
        sa.UniqueConstraint("digest", name=op.f("uq_reply_digest")),
    )
    with op.batch_alter_table("reply", schema=None) as batch_op:
        batch_op.create_index("ix_reply_account", ["account", "stored_ms"], unique=False)

    op.create_table(
        "request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("send_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("schedule", sa.String(length=8), server_default="ledger", nullable=False),
        sa.Column("validity_min", sa.Integer(), nullable=True),
        sa.Column("deadline_ms", sa.BigInteger(), nullable=True),
        sa.Column("duplicates", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("pack_key", sa.String(length=64), nullable=False),
        sa.Column("header_hash", sa.String(length=64), nullable=False),
        sa.Column("seal_hash", sa.String(length=64), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("next_due_ms", sa.BigInteger(), nullable=True),
        sa.Column("enqueued_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("sealed_ms", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
    )
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.create_index(
            "ix_request_due",
            ["account", "lane", "next_due_ms", "id"],
            unique=False,
            sqlite_where=sa.text("next_due_ms IS NOT NULL"),
            postgresql_where=sa.text("next_due_ms IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_request_staged",
            ["created_ms"],
            unique=False,
            sqlite_where=sa.text("state = 'staged'"),
            postgresql_where=sa.text("state = 'staged'"),
        )

    op.create_table(
        "page",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name=op.f("fk_page_request_id")),
        sa.PrimaryKeyConstraint("request_id", "page", name=op.f("pk_page")),
    )


def downgrade() -> None:
    op.drop_table("page")
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_request_staged",
            sqlite_where=sa.text("state = 'staged'"),
            postgresql_where=sa.text("state = 'staged'"),
        )
        batch_op.drop_index(
            "ix_request_due",
            sqlite_where=sa.text("next_due_ms IS NOT NULL"),
            postgresql_where=sa.text("next_due_ms IS NOT NULL"),
        )

    op.drop_table("request")
    with op.batch_alter_table("reply", schema=None) as batch_op:
        batch_op.drop_index("ix_reply_account")

    op.drop_table("reply")
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_message_waiting",
            sqlite_where=sa.text("due_ms IS NOT NULL"),
            postgresql_where=sa.text("due_ms IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_message_chunk",
            sqlite_where=sa.text("chunk_id IS NOT NULL"),
            postgresql_where=sa.text("chunk_id IS NOT NULL"),
        )

    op.drop_table("message")
    op.drop_table("lane")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_at")

    op.drop_table("event")
    op.drop_table("dead_letter")
    with op.batch_alter_table("chunk", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_chunk_unknown",
            sqlite_where=sa.text("state = 'unknown'"),
            postgresql_where=sa.text("state = 'unknown'"),
        )
        batch_op.drop_index(
            "ix_chunk_poll",
            sqlite_where=sa.text("next_poll_ms IS NOT NULL"),
            postgresql_where=sa.text("next_poll_ms IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_chunk_lease",
            sqlite_where=sa.text("state = 'submitting'"),
            postgresql_where=sa.text("state = 'submitting'"),
        )
        batch_op.drop_index(
            "ix_chunk_erase",
            sqlite_where=sa.text("erase_ms IS NOT NULL"),
            postgresql_where=sa.text("erase_ms IS NOT NULL"),
        )
        batch_op.drop_index("ix_chunk_batch")

    op.drop_table("chunk")
    op.drop_table("account")
