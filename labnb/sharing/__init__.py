"""Instruments that several kernels share: reservations, pin maps, the service that keeps them, the SCPI gateway."""

__all__: list[str] = []
