# ruff: noqa: INP001 - a script of the demo project, not a module of ours
"""Records what the SDK says today as golden fixtures: transcripts as JSONL, models as JSON, usage as text."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent


def transcript(records: list[dict[str, Any]]) -> str:
    """Write one record a line, each with the moment it was recorded at, as the SDK does."""
    moment = datetime.now(UTC).isoformat()
    return "".join(json.dumps({**record, "created_at": moment}) + "\n" for record in records)


def main() -> None:
    """Write every fixture anew."""
    sdk = json.loads((PROJECT / "sdk" / "events.json").read_text(encoding="utf-8"))
    usage = sdk["thread"][-1]["usage"]
    written = {
        "thread.jsonl": transcript(sdk["thread"]),
        "models.json": json.dumps({"models": sdk["models"]}, indent=2) + "\n",
        "usage.txt": f"input tokens   {usage['input']}\noutput tokens  {usage['output']}\n",
        **{f"tool-{name}.jsonl": transcript(records) for name, records in sdk["tools"].items()},
    }
    fixtures = PROJECT / "fixtures"
    fixtures.mkdir(exist_ok=True)
    for name, content in written.items():
        (fixtures / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
