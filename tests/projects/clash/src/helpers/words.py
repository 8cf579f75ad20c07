WORD = "a local dependency"
