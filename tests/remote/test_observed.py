from labnb.testing.observed import ObservedContract, PlainSession


class TestPlainSession(ObservedContract):
    def make_observed(self, request):
        return PlainSession()

    def log(self, observed, ts, values):
        observed.log(ts, **values)
