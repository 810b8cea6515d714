"""Sentences: one file per flow, named as the register names the kind."""
