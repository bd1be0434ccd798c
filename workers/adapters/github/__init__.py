"""GitHub's REST API behind the ports Github and Deliveries, asked as a GitHub App.

Law of this room: `client.py` sends one request and makes GitHub's errors ours, in one table; `credentials.py` is the
App and its installations; `repositories.py` and `deliveries.py` are the ports. Source: docs.github.com/rest, version
2022-11-28.
"""

from workers.adapters.github.client import GithubClient
from workers.adapters.github.credentials import AppCredentials
from workers.adapters.github.deliveries import AppDeliveries
from workers.adapters.github.repositories import GithubRepositories

__all__ = ["AppCredentials", "AppDeliveries", "GithubClient", "GithubRepositories"]
