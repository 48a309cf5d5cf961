"""Checks that run what an answer says: calls against described APIs, SQL against described tables. Never a score."""
