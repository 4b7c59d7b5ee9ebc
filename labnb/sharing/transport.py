"""gRPC, or what to install where it is missing."""

from labnb.sharing.needs import need

need("grpc", "sharing instruments")

import grpc as grpc  # noqa: E402, PLC0414  after the line that says what to install; for the other modules
