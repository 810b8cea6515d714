"""Our patches on vendored code: read, tried on a tree, judged, and brought up to date."""
