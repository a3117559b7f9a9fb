"""A stand-in for Futu's login layer: a pure service, its levers and orders, its routes and its trading connection."""
