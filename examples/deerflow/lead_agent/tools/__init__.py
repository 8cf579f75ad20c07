"""What the lead agent can do. A tool that cannot do it raises ToolException, whose text is for the model."""
