"""The live view is a sink like any other."""

from labnb.live import LiveView
from labnb.testing.sinks import SinkContract


class TestLiveView(SinkContract):
    def make_sink(self, request):
        return LiveView()

    def count(self, sink):
        sink.drain_all()
        return sink.points
