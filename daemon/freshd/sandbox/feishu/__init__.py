"""A stand-in for Feishu and Lark: a pure service, its routes, its levers."""
