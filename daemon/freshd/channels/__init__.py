"""Long-lived logins that freshd itself holds with a managed lease."""
