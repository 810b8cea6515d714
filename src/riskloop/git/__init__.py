"""Reads and extends git repositories through bare ones of our own, never trusting anybody's configuration."""

from riskloop.git.listing import Followed
from riskloop.git.mirror import COMMITTER, HEAD, Mirror, find_top
from riskloop.git.remote import Foreign, Remote
from riskloop.git.upstream import Upstream

__all__ = ["COMMITTER", "HEAD", "Followed", "Foreign", "Mirror", "Remote", "Upstream", "find_top"]
