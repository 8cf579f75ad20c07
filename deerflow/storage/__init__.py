"""SQL; the only importer of SQLAlchemy. Functions take a transaction, return frozen records and never commit."""
