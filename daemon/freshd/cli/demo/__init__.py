"""`scripts/demo`: the real daemon against the sandbox, everything going wrong that may; seen and judged from outside.

| file | holds |
|---|---|
| `__main__.py` | arguments, exit status |
| `play.py` | the evening: set the stage, run the script, judge |
| `cast.py` `configuration.py` `openings.py` | the accounts · the daemon's configuration · what services know of them |
| `broker.py` `clerk.py` | a private MQTT broker · who tells it each new password, and who listens there |
| `stage.py` `child.py` `custody.py` | processes and files: sandbox, daemon, keyring; gone when it ends |
| `service.py` | the sandbox's control port |
| `readers.py` `proofs.py` | programs that ask for tokens and use them; how a token is tried at each service |
| `traders.py` `trade.py` | programs that hold a trading connection; the connection |
| `monitor.py` | an operator who looks on |
| `script.py` `props.py` | what goes wrong, and when; what that is done with |
| `storm.py` `broker_acts.py` `login_acts.py` | everywhere at once; at Futu; at AUN and CloudBase |
| `evidence.py` `score.py` `lapses.py` `lateness.py` `sequence.py` | what was recorded, and what it amounts to (pure) |
| `feishu.py` `futu.py` `geniusauth.py` `aun.py` `cloudbase.py` `mqtt.py` | what must have happened there (pure) |
| `story.py` `table.py` | what is told while it runs and at the end |
"""
