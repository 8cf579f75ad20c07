"""The lead agent: an agent in the manner of DeerFlow, on LangGraph."""
