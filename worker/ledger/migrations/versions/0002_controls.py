"""The callbacks' inbox, credit as evidence, pauses, caps and limits."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.String(length=64), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("number", sa.String(length=20), server_default="", nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.Column("reported_ms", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), server_default="waiting", nullable=False),
        sa.Column("look_ms", sa.BigInteger(), nullable=True),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("matched_ms", sa.BigInteger(), nullable=True),
        sa.Column("chunk_id", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("digest", name=op.f("uq_inbox_digest")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("ix_inbox_account", ["account", "received_ms"], unique=False)
        batch_op.create_index(
            "ix_inbox_look",
            ["look_ms", "id"],
            unique=False,
            sqlite_where=sa.text("look_ms IS NOT NULL"),
            postgresql_where=sa.text("look_ms IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_inbox_unmatched",
            ["account", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'unmatched'"),
            postgresql_where=sa.text("state = 'unmatched'"),
        )

    op.create_table(
        "number_use",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("chunk_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_number_use")),
    )
    with op.batch_alter_table("number_use", schema=None) as batch_op:
        batch_op.create_index("ix_number_use_at", ["at_ms"], unique=False)
        batch_op.create_index("ix_number_use_chunk", ["chunk_id"], unique=False)
        batch_op.create_index("ix_number_use_number", ["account", "number", "at_ms"], unique=False)

    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("paused_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("paused_by", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("short_credit", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("short_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("topped_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("credit_asked_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("low_credit_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("gate_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("gate_by", sa.String(length=128), nullable=True))
        batch_op.add_column(sa.Column("gate_closed_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("baseline", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("baseline_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("lowest", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("compared_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("doubt_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("erase_lost_ms", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("lane", schema=None) as batch_op:
        batch_op.add_column(sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("paused_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("paused_by", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("paused_reason", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("limit_since_ms", sa.BigInteger(), server_default="0", nullable=False))

    with op.batch_alter_table("chunk", schema=None) as batch_op:
        batch_op.add_column(sa.Column("evidence", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("polled_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("polled_rows", sa.Integer(), nullable=True))

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(
            "ix_message_unpaid",
            ["request_id"],
            unique=False,
            sqlite_where=sa.text("state = 'no_credit' AND final_ms IS NULL"),
            postgresql_where=sa.text("state = 'no_credit' AND final_ms IS NULL"),
        )

    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.add_column(sa.Column("paused_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("paused_by", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("paused_reason", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("funds", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("points", sa.BigInteger(), nullable=True))
        batch_op.drop_index("ix_request_due")
        batch_op.create_index(
            "ix_request_due",
            ["account", "lane", "next_due_ms", "id"],
            unique=False,
            sqlite_where=sa.text("next_due_ms IS NOT NULL AND paused_ms IS NULL"),
            postgresql_where=sa.text("next_due_ms IS NOT NULL AND paused_ms IS NULL"),
        )
        batch_op.create_index(
            "ix_request_paused",
            ["account", "paused_ms"],
            unique=False,
            sqlite_where=sa.text("paused_ms IS NOT NULL"),
            postgresql_where=sa.text("paused_ms IS NOT NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_request_paused",
            sqlite_where=sa.text("paused_ms IS NOT NULL"),
            postgresql_where=sa.text("paused_ms IS NOT NULL"),
        )
        batch_op.drop_index("ix_request_due")
        batch_op.create_index(
            "ix_request_due",
            ["account", "lane", "next_due_ms", "id"],
            unique=False,
            sqlite_where=sa.text("next_due_ms IS NOT NULL"),
            postgresql_where=sa.text("next_due_ms IS NOT NULL"),
        )
        batch_op.drop_column("points")
        batch_op.drop_column("funds")
        batch_op.drop_column("paused_reason")
        batch_op.drop_column("paused_by")
        batch_op.drop_column("paused_ms")

    with op.batch_alter_table("chunk", schema=None) as batch_op:
        batch_op.drop_column("polled_rows")
        batch_op.drop_column("polled_ms")
        batch_op.drop_column("evidence")

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_message_unpaid",
            sqlite_where=sa.text("state = 'no_credit' AND final_ms IS NULL"),
            postgresql_where=sa.text("state = 'no_credit' AND final_ms IS NULL"),
        )

    with op.batch_alter_table("lane", schema=None) as batch_op:
        batch_op.drop_column("limit_since_ms")
        batch_op.drop_column("paused_reason")
        batch_op.drop_column("paused_by")
        batch_op.drop_column("paused_ms")
        batch_op.drop_column("paused")

    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_column("erase_lost_ms")
        batch_op.drop_column("doubt_ms")
        batch_op.drop_column("compared_ms")
        batch_op.drop_column("lowest")
        batch_op.drop_column("baseline_ms")
        batch_op.drop_column("baseline")
        batch_op.drop_column("gate_closed_ms")
        batch_op.drop_column("gate_by")
        batch_op.drop_column("gate_ms")
        batch_op.drop_column("low_credit_ms")
        batch_op.drop_column("credit_asked_ms")
        batch_op.drop_column("topped_ms")
        batch_op.drop_column("short_ms")
        batch_op.drop_column("short_credit")
        batch_op.drop_column("paused_by")
        batch_op.drop_column("paused_ms")

    with op.batch_alter_table("number_use", schema=None) as batch_op:
        batch_op.drop_index("ix_number_use_number")
        batch_op.drop_index("ix_number_use_chunk")
        batch_op.drop_index("ix_number_use_at")

    op.drop_table("number_use")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_inbox_unmatched",
            sqlite_where=sa.text("state = 'unmatched'"),
            postgresql_where=sa.text("state = 'unmatched'"),
        )
        batch_op.drop_index(
            "ix_inbox_look",
            sqlite_where=sa.text("look_ms IS NOT NULL"),
            postgresql_where=sa.text("look_ms IS NOT NULL"),
        )
        batch_op.drop_index("ix_inbox_account")

    op.drop_table("inbox")
