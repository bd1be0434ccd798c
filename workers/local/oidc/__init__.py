"""The issuers of CI identities, as GitHub Actions, GitLab and Google's metadata server are: OpenID Connect on one port.

Law of this room: tokens are really signed, with keys that the issuer really publishes, and say what those issuers
document; who may have a token for which job is decided by whoever holds the token of the world. It is a compatibility
harness, not the authority. It follows

- https://openid.net/specs/openid-connect-discovery-1_0.html, RFC 7517 (key sets), RFC 7519 (JSON Web Tokens),
- https://docs.github.com/en/actions/reference/security/oidc (claims, the request for a token, both forms of `sub`),
- https://docs.gitlab.com/ci/secrets/id_token_authentication/ (claims of `id_tokens`),
- https://cloud.google.com/compute/docs/instances/verifying-instance-identity (the metadata server).

A job is what the CI system would have started: `POST /github/jobs` and `POST /gitlab/jobs` answer with the environment
that its shell sees, and `POST /{issuer}/keys` rotates. Google's metadata server answers anybody on this machine, as the
real one does, so that no principal of a fresh world bears its tokens.

Left out: user logins and every other OAuth 2.0 flow, custom `sub` templates, access tokens of the metadata server.
"""

from workers.local.oidc.jobs import GitHubJob, GitLabJob
from workers.local.oidc.keys import IssuerKeys
from workers.local.oidc.server import OidcIssuers

__all__ = ["GitHubJob", "GitLabJob", "IssuerKeys", "OidcIssuers"]
