"""Monitoring sessions: what is logged over hours and days, and the tasks that log it."""
