"""`scripts/demo`: the real daemon against the sandbox, everything going wrong that may; seen and judged from outside.

| file | holds |
|---|---|
| `__main__.py` | arguments, exit status |
| `play.py` | the evening: set the stage, run the script, judge |
| `cast.py` | the accounts, and the daemon's configuration for them |
| `stage.py` `child.py` `custody.py` | processes and files: sandbox, daemon, keyring; gone when it ends |
| `service.py` | the sandbox's control port |
| `readers.py` `monitor.py` | programs that ask for tokens and use them; an operator who looks on |
| `script.py` | what goes wrong, and when |
| `evidence.py` `score.py` `lapses.py` `lateness.py` | what was recorded, and what it amounts to (pure) |
| `story.py` `table.py` | what is told while it runs and at the end |
"""
