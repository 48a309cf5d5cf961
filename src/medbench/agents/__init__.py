"""Environments with tools, and the governed reference agent that works in them."""
