"""Fakes of our protocols, and the suites that every implementation of one must pass."""
