"""LangGraph: the user's graphs, their savers and their state; imported by workers only, never by the web process."""
