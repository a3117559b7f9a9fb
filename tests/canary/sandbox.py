"""`python -m tests.canary.sandbox`: as `python -m freshd.sandbox`, with the marks of the run in all its secrets."""

import runpy

from tests.canary.plant import plant

if __name__ == "__main__":
    plant()
    runpy.run_module("freshd.sandbox", run_name="__main__", alter_sys=True)
