"""One GitHub issue per incident, and one pull request per branch of ours."""

from riskloop.channels.github.issues import GitHub

__all__ = ["GitHub"]
