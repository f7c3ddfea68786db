"""What holds an evaluation up, and what would help, from measured figures."""

from tfeval.engine.benchmark.stages import (
  CACHED,
  CANVAS,
  DECODING,
  FORWARD,
  PREPROCESSING,
  READING,
  Figures,
)

# Below this share of the time, input is not worth saving.
_MATTERS = 0.1


def bottleneck(figures: Figures) -> str:
  """Returns the stage that holds an evaluation up.

  Returns:
    `forward pass`, or what costs most in making input: `reading`, `decoding`,
    `preprocessing`, or the input itself if it is from the cache or for the device.
  """
  cost, seconds = figures.cost(), figures.seconds()
  if figures.on_cpu:
    # Input and model share the cores: waiting says nothing, what costs most does.
    is_input = cost[figures.input] > cost[FORWARD]
  else:
    is_input = figures.waiting >= _MATTERS
  if not is_input:
    return FORWARD
  # Stages include those before them: what each one adds is its own cost, or a little
  # less for preprocessing, which decodes only what it needs.
  added = {READING: seconds[READING]}
  if figures.input == PREPROCESSING:
    added |= {
      DECODING: seconds[DECODING] - seconds[READING],
      PREPROCESSING: seconds[PREPROCESSING] - seconds[DECODING],
    }
  else:
    added[figures.input] = seconds[figures.input] - seconds[READING]
  return max(added, key=added.get)


def advice(figures: Figures, slowest: str) -> str:
  """Returns what would help, in sentences.

  Args:
    figures: what was measured.
    slowest: its bottleneck.
  """
  if slowest == FORWARD:
    return _for_the_model(figures)
  if slowest == READING:
    # A cache holds pixels; images are read beside it, to know them.
    return f'A `data_dir` on a faster disk would help. {_together(figures)}'
  # Only whole images come from a service.
  others = (
    ', or those of other hosts (`tf_data_service`)'
    if figures.input == PREPROCESSING
    else ''
  )
  return ' '.join(
    [
      f'More than {figures.cores} CPU cores would help{others}.',
      *_cheaper_input(figures),
    ]
  )


def _for_the_model(figures: Figures) -> str:
  if figures.on_cpu:
    cost = figures.cost()
    share = cost[figures.input] / (cost[figures.input] + cost[FORWARD])
    if share < _MATTERS:
      return 'A GPU or a smaller model would help; no flag does.'
    return ' '.join(
      [
        'A GPU or a smaller model would help; so would cheaper input, '
        'for it shares the cores.',
        *_cheaper_input(figures),
      ]
    )
  device, count = figures.devices[0], len(figures.devices)
  if count > figures.replicas:
    return f'`strategy=mirrored` would use all {count} {device}s.'
  return f'A larger `batch_size` than {figures.batch_size} may use the {device} better.'


def _cheaper_input(figures: Figures) -> list[str]:
  """Returns what would make input cheaper, a sentence each."""
  cost, found = figures.cost(), [_together(figures)]
  now = cost[figures.input]
  if cost.get(CACHED, now) < now:
    found.append(
      f'`cache_dir`: {cost[CACHED]:.1f} ms instead of {now:.1f} once it is filled, '
      f'for {figures.cache_bytes_per_image:,} bytes an image.'
    )
  # A CPU that is the device too would do what it saves, and more.
  if not figures.on_cpu and cost.get(CANVAS, now) < now:
    found.append(f'`resize_on=device`: {cost[CANVAS]:.1f} ms instead of {now:.1f}.')
  return found


def _together(figures: Figures) -> str:
  now = figures.cost()[figures.input]
  return (
    f'Several `model` of one protocol and input size share the {now:.1f} ms of '
    f'CPU time that an image costs before the model: of k models each pays '
    f'{now:.1f} / k.'
  )
