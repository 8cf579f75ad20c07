"""How fast the server is: measures against a running one, or against one of its own. See docs/bench.md."""
