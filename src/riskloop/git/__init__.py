"""Reads and extends git repositories through bare ones of our own, never trusting anybody's configuration."""

from riskloop.git.mirror import HEAD, Mirror, find_top

__all__ = ["HEAD", "Mirror", "find_top"]
