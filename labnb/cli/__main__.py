"""`python -m labnb.cli` is `labnb`."""

import sys

from labnb.cli import main

sys.exit(main())
