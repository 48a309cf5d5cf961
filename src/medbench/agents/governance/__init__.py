"""Governance of an agent: policies as data, a guard, de-identification, approval by people and an audit trail.

The guard is deterministic and reads no model: `Guard.check_input`, `check_config`, `check_tool` and `check_output` hold
a text against the rules of `policies/*.toml` and of files that a user adds.
"""
