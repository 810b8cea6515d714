"""One GitHub issue per incident, and the pull requests in which fixtures are adopted."""

from riskloop.channels.github.issues import GitHub

__all__ = ["GitHub"]
