"""Journal -> SQLite or PostgreSQL: tables, migrations, the writer, and what is read back."""
