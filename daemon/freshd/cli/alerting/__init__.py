"""The verb `alerts`: from lines of a log to a command of the operator's."""
