"""What a recorded training has: the sender of its marks. An epoch that is not marked is better than a training that
ends, so what fails here fails in silence."""

from ..contract import Session
from .sender import MarkSender


class Recorded(Session):
    """One recorded process."""

    def __init__(self, sender: MarkSender) -> None:
        super().__init__()
        self.sender = sender
