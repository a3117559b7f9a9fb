"""CloudBase's authentication as a stand-in: users, sessions, tickets, captchas, codes."""
