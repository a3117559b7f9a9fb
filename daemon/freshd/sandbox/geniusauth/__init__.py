"""A stand-in for GeniusAuth: a pure service with signed calls, its levers, its routes and its login page."""
