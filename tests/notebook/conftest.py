"""What the tests of the notebook room share."""

import warnings

# bqscales 0.3 declares a trait in a way that traitlets deprecates; it says so once, when it is imported.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import bqplot  # noqa: F401 -- imported here for that reason only

from labnb.testing.shells import shell_in  # noqa: F401  after bqplot; a fixture
