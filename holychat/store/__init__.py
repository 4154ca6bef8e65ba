"""The history database: the only rooms that import apsw. All SQL is here, and nothing that knows of a provider."""
