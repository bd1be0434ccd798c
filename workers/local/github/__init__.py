"""A GitHub for the world in a box: git over HTTP, the part of the REST API that an App needs, and its webhooks.

Law of this room: it speaks GitHub's wire protocols well enough for `git`, for curl, and for our own adapter, verifies
what GitHub verifies, and refuses what GitHub refuses. It is a compatibility harness, not the authority. It follows
https://docs.github.com/en/rest (version 2022-11-28), https://docs.github.com/en/webhooks and
https://git-scm.com/docs/http-protocol. Repositories are real bare git repositories.

    async with Github(folder) as github:     # or `await github.start(port)` and `await github.stop()`
        github.url                           # the REST API; git is at {url}/acme/onboarding.git
        github.names                         # ids, and the files of the App's key, the secret, a personal token
        await github.hook_to("http://127.0.0.1:8080/webhooks/github")
        github.faults.limit("compare")       # the next comparison meets a secondary rate limit

Left out: users and teams, branch protection, forks, issues and all that is not named in `rest`, GraphQL, webhooks of
single repositories, and the registry of packages: who pushed one tells of it.
"""

from workers.local.github.faults import Faults
from workers.local.github.seed import Seeded, seeded
from workers.local.github.server import Github

__all__ = ["Faults", "Github", "Seeded", "seeded"]
