"""How pieces are cut, and which engine does them."""

import dataclasses

from tfeval.utils.options import option

RUNNERS = BEAM, RAY = ('beam', 'ray')


@dataclasses.dataclass(frozen=True)
class PieceConfig:
  """How large pieces are, and who does them."""

  GROUP = 'Pieces'

  runner: str | None = option(
    None,
    'beam, ray: cut it into pieces that Apache Beam or Ray does; by default it is done '
    'here, in this process.',
    choices=RUNNERS,
  )
  piece_images: int | None = option(
    None,
    'About how many images a piece has; rounded up to whole batches (default: '
    '`rows_per_part`).',
    least=1,
    most=1 << 20,
  )
  beam_args: str | None = option(
    None,
    'Options of Beam in one text, as its own documentation writes them; see tfeval '
    'guide clusters.',
  )
  ray_address: str | None = option(
    None,
    'Address of a cluster of Ray, such as auto or ray://HOST:10001; by default one is '
    'started on this machine.',
  )
  ray_workers: int | None = option(
    None, 'Most workers on Ray (default: as many as fit).', least=1
  )
  ray_cpus: float = option(1.0, 'CPUs that Ray keeps for a worker.', least=0)
  ray_gpus: float | None = option(
    None,
    'GPUs that Ray keeps for a worker, perhaps a part of one (default: 1 where the '
    'cluster has any).',
    least=0,
  )
