WORD = "the project's deerflow"
