"""Tests, by kind; the folders below have no __init__ and are imported as tests.unit, tests.flow, …"""
