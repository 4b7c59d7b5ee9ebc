"""Monitoring sessions: what is logged over hours and days, and the tasks that log it."""

from labnb.session.monitoring._jobs import Accompaniment
from labnb.session.monitoring._limits import Limits, parse_limits
from labnb.session.monitoring._values import column_of
from labnb.session.monitoring.chart import Chart, ChartView, forget_chart, register_chart
from labnb.session.monitoring.data import SessionData
from labnb.session.monitoring.picture import picture_of
from labnb.session.monitoring.reading import Readings
from labnb.session.monitoring.session import Alarm, MonitoringSession, Notify

__all__ = [
    "Accompaniment",
    "Alarm",
    "Chart",
    "ChartView",
    "Limits",
    "MonitoringSession",
    "Notify",
    "Readings",
    "SessionData",
    "column_of",
    "forget_chart",
    "parse_limits",
    "picture_of",
    "register_chart",
]
