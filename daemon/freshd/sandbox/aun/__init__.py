"""AUN's gateway and certificate authority as a stand-in; the README one folder up says how to use it."""
