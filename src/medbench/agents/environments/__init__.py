"""Environments that come with the package: a record store, hospital databases, consultations."""
