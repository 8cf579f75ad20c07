"""Everything that can happen to a run, one verb a file."""
