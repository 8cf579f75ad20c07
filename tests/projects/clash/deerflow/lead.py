from agent import builder

graph = builder.compile()
