"""GeniusAuth: an application's access tokens, and a refresh token that works until its fixed end."""
