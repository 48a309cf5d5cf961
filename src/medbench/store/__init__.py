"""Where things are kept: SQLite files, columnar files, atomic files, locks. Knows no table of others."""
