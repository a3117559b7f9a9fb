"""Feishu and Lark: user tokens that work once, app and tenant tokens."""
