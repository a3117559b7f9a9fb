"""Tencent CloudBase, authentication v2: users who sign in by themselves or through a person, and server keys."""
