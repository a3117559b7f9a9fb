"""The rules of freshd, pure and total: no clock, no randomness, no files, no tasks.

Everything here is a function of its arguments.  `now` is a `Moment`, randomness is a number.  Only the
standard library is imported, and of it neither asyncio, time, os, random nor socket (checked by the layout tests).
"""
