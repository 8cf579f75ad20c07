WORD = "the project's tests"
