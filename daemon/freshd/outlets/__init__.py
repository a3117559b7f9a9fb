"""Where what freshd knows goes besides the socket: today, somebody's .env file."""
