"""Let a request keep the secrets that were given before a person went to sign in elsewhere.

Revision: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; requests last minutes, so that none there now needs a value."""
    op.add_column("secret_requests", sa.Column("sealed", sa.Text(), nullable=True))
