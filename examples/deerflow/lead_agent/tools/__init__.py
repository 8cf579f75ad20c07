"""What the lead agent can do. A tool that cannot do what was asked raises ToolException; its text is for the model."""
