"""What others see of a run over the network: the monitoring session's page, remote observers, mail."""

from labnb.remote.observed import Observed
from labnb.remote.observer import RemoteObserver
from labnb.remote.session import AsyncSession

__all__ = ["AsyncSession", "Observed", "RemoteObserver"]
