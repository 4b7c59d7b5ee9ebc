"""The contract of sinks, kept by the recorder and by the fake."""

from labnb.record import Recorder
from labnb.testing.sinks import ListSink, SinkContract


class TestRecorder(SinkContract):
    def make_sink(self, request):
        return Recorder.create(request.getfixturevalue("tmp_path"), "contract", {})

    def count(self, sink):
        return sink.points


class TestListSink(SinkContract):
    def make_sink(self, request):
        return ListSink()

    def count(self, sink):
        return len(sink.points)
