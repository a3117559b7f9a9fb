"""OAuth 2.0: any server that keeps to RFC 6749 and its relatives."""
