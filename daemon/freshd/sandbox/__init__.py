"""Local stand-ins of token services: strict where the real ones are strict, broken on demand.

Rules: nothing here imports the rest of freshd, so that a mistake in the daemon cannot hide itself in the thing that
judges it. Only the command line and the tests import this package. Everything is kept in memory and listens on the
loopback interface alone; tokens are handed out freely to whoever reaches the control port, so never expose it.
"""
