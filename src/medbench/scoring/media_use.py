"""What a run sent of its questions' media, and what it could not send."""

from __future__ import annotations

import msgspec

from medbench.models.images import SentImage
from medbench.models.model import Response

SHOWN = 50
"""Images, and questions, that are listed one by one; `responses` has them all."""


class ChangedImage(msgspec.Struct, frozen=True):
    """An image that is not its file byte for byte, and the question it was sent with."""

    uid: str
    image: SentImage


class MissingMedia(msgspec.Struct, frozen=True):
    """A question that was not asked, since its media could not be shown: `media_…` and which file it was."""

    uid: str
    code: str
    detail: str


class MediaUse(msgspec.Struct):
    """Counts over the responses of a run.

    Attributes:
        responses: With images.
        by_how: `as_is`, `converted` or `rendered` -> images.
        smaller: Images with fewer pixels than the picture or slice they were made from.
        missing: Responses with `media_missing`.
        changed: The first images that were not sent as they are.
        not_shown: The first questions whose media were missing.
    """

    responses: int = 0
    by_how: dict[str, int] = msgspec.field(default_factory=dict)
    smaller: int = 0
    missing: int = 0
    changed: list[ChangedImage] = msgspec.field(default_factory=list)
    not_shown: list[MissingMedia] = msgspec.field(default_factory=list)

    def add(self, uid: str, response: Response) -> None:
        """Count a response."""
        if response.status == "media_missing":
            self.missing += 1
            if len(self.not_shown) < SHOWN:
                self.not_shown.append(MissingMedia(uid, response.error_code, response.error_detail))
        self.responses += bool(response.images)
        for image in response.images:
            self.by_how[image.how] = self.by_how.get(image.how, 0) + 1
            self.smaller += image.width < image.original[0]
            if image.how != "as_is" and len(self.changed) < SHOWN:
                self.changed.append(ChangedImage(uid, image))
