"""The story of admission: Cloud Run asks Binary Authorization, which believes nothing but an attestation."""

from urllib.parse import urlsplit

from workers.app.pushing import push_image
from workers.app.stage import Ending, Stage
from workers.failures import Unavailable
from workers.local.deployment import Deployment, deploy
from workers.local.rest import RestError

_UNAUTHORIZED = "CONTAINER_IMAGE_UNAUTHORIZED"


async def admitted(stage: Stage) -> Ending:
    """Push an image that nobody signed, see it refused, announce it, and see the same image admitted."""
    reference = stage.reference("admitted")
    digest = await push_image(stage.folder, reference, f"to be admitted in play {stage.play}")
    image = f"{reference.rpartition(':')[0]}@{digest}"
    refused = await _deploy(stage, image, "unsigned")
    if refused.ready or refused.reason != _UNAUTHORIZED or refused.serving:
        return False, f"Cloud Run did not refuse {image}, which nobody signed: {_said(refused)}", {"image": image}
    entered = await stage.publish("image.pushed", "admitted", image=reference, digest=digest)
    good, said, evidence = await stage.proof(await stage.completed(entered), digest)
    ready = await _deploy(stage, image, "signed")
    good = good and ready.ready and ready.serving == ready.revision and ready.image == image
    evidence |= {"refused": refused.revision, "refusal": refused.message, "serving": ready.serving}
    why = refused.message.rsplit(" denied by ", 1)[-1]
    return good, f"refused by {why}; then attested: {said}; then {_said(ready)}", evidence


async def _deploy(stage: Stage, image: str, revision: str) -> Deployment:
    """Deploy to the service of this play. Raises Unavailable."""
    service = f"{stage.endpoints['location']}/services/admitted-{stage.play}"
    port = urlsplit(stage.endpoints["google_rest"]).port or 0
    try:
        return await deploy(port, stage.folder.token(), service, image, revision)
    except (RestError, OSError) as error:
        raise Unavailable(f"the local Cloud Run did not answer: {error}") from error


def _said(deployment: Deployment) -> str:
    """Return what Cloud Run stores, for people."""
    if deployment.ready:
        return f"{deployment.serving.rsplit('/', 1)[1]} serves {deployment.image}"
    return f"{deployment.reason}: {deployment.message}"
