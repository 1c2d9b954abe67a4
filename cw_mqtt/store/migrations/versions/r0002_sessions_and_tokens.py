"""Browsers that are logged in, and tokens of programs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables."""
    user_id = sa.ForeignKey("users.id", ondelete="CASCADE")
    op.create_table(
        "sessions",
        sa.Column("key_hash", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, user_id, nullable=False, index=True),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("used_ts", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("key_hash", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), unique=True, nullable=False),
        sa.Column("role", sa.String(255), nullable=False),
        sa.Column("created_ts", sa.BigInteger, nullable=False),
        sa.Column("used_ts", sa.BigInteger),
    )
