"""What stands in the project: the pin, the vendored files, and what was changed in them by hand."""
