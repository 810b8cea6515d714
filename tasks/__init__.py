"""Verbs: measure, assess, mitigate, notify; Prefect's policy and one call each."""
