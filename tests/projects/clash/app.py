WORD = "the project's app"
