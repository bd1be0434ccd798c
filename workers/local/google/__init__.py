"""Google's services on one machine, over gRPC and REST.

Cloud KMS, Container Analysis, Binary Authorization, Cloud Run, Artifact Registry and Pub/Sub, as far as images need
them. Both wire forms are served from one method table that is read out of the installed client libraries (`table.py`),
so the official clients and `gcloud` talk to these servers as they talk to the cloud. Each room below holds one service
and says in its docstring which API page it follows and what it leaves out.
"""

from workers.local.google.api import ServedRegistry
from workers.local.google.faults import Faults
from workers.local.google.server import GoogleServices

__all__ = ["Faults", "GoogleServices", "ServedRegistry"]
