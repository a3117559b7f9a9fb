"""AUN: agents that log in with a key and a certificate, and live on short tokens in between."""
