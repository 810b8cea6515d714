"""What people read of a look: the evidence, the pull request, and whose commit it was."""
