"""Start the emulator by hand: `python -m tests.emulator` prints what to export, and stays until Ctrl-C."""

import signal
import sys
from contextlib import suppress

from tests.emulator.emulator import GITHUB_TOKEN, SLACK_TOKEN
from tests.emulator.rig import Rig


def main() -> None:
    """Run the rig in the foreground."""
    with Rig() as rig:
        repository, channel = rig.new_repository(), rig.new_channel()
        sys.stdout.write(
            f"export RISKLOOP_GITHUB_URL={rig.github_url}\n"
            f"export RISKLOOP_GITHUB_TOKEN={GITHUB_TOKEN}\n"
            f"export RISKLOOP_SLACK_URL={rig.slack_url}\n"
            f"export RISKLOOP_SLACK_TOKEN={SLACK_TOKEN}\n"
            f"# in the register: github: {{repository: {repository}}}, slack: {{channel: {channel}}}\n"
            f"# issues: {rig.github_url}/repos/{repository}/issues?state=all\n"
        )
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
