"""Futu and moomoo: one platform login, and the brokers that live on its codes."""
