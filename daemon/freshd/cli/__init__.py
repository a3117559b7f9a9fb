"""The command line.  This file imports nothing: `freshd token` must start as fast as Python does."""
