"""Synthetic items for the environments, to try them out and to test them; nobody and nothing in them is real."""
