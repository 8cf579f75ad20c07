"""The rules, plain Python: no I/O, no framework."""
