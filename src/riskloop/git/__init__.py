"""Reads and extends git repositories through bare ones of our own, never trusting anybody's configuration."""

from riskloop.git.mirror import HEAD, Mirror, find_top
from riskloop.git.upstream import Followed, Upstream

__all__ = ["HEAD", "Followed", "Mirror", "Upstream", "find_top"]
