"""Request and response shapes; the only place that knows JSON field names."""
