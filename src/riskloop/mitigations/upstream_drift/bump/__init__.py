"""The commit that brings a newer upstream into the project, and the commands it must pass."""
