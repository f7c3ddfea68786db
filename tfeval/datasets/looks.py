"""What was read of a dataset at each position, to tell that it stays there."""

import hashlib
from collections.abc import Iterable, Sequence

from tfeval.utils.errors import UserError

_BYTES = 16


class Looks:
  """Digests of examples by position. Whoever reads some tells of them."""

  def __init__(self) -> None:
    self._seen: dict[int, bytes] = {}

  def tell(
    self,
    positions: Sequence[int],
    ids: Sequence[str],
    image_sha256: Sequence[bytes],
    labels: Iterable[int],
  ) -> None:
    """Compares examples with what was read of their positions before.

    Args:
      positions, ids, image_sha256, labels: of n examples, as in `batches.Batch`.

    Raises:
      UserError: there was another one at one of the positions.
    """
    for position, *example in zip(positions, ids, image_sha256, labels, strict=True):
      name, sha256, label = example
      text = sha256 + f'{int(label)} {name}'.encode()
      digest = hashlib.blake2b(text, digest_size=_BYTES).digest()
      if self._seen.setdefault(position, digest) != digest:
        raise UserError(
          'dataset comes in another order or with other values each time (example '
          f'{position} was another one before): give one without shuffle and without '
          'random augmentation'
        )
