WORD = "the project's settings"
