"""Services: one file per kind, and the one place that speaks HTTP to them.  See README.md in this folder."""
