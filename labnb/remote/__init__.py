"""What others see of a run over the network: the monitoring session's page, remote observers, mail."""

__all__: list[str] = []
