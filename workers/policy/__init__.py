"""Binary Authorization's policy of a project: read, checked, compared and evaluated. Nothing here asks the outside.

What can only be known from the outside (whether an attestor exists, what its keys are) comes in as `facts.Facts`, and
what an attestor says of an image as `evaluation.Attested`. The fields, their values and what may stand together are
those of https://cloud.google.com/binary-authorization/docs/reference/rest/v1/Policy; a file is what
`gcloud container binauthz policy export` writes (https://cloud.google.com/binary-authorization/docs/policy-yaml-reference).
"""
