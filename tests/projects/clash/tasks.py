WORD = "the project's tasks"
