"""freshd keeps renewable credentials fresh and hands short-lived tokens to local programs.

The package is imported by programs that only want a token: this file imports nothing and does nothing.
"""

__version__ = "0.1.0"
