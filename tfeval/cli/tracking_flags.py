"""`--log_to`, of commands that evaluate."""

from tfeval.evaluation.tracking import trackers


def define(definer) -> None:
  """Defines `--log_to`."""
  definer.multi_string(
    'log_to',
    [],
    'Also log metrics, config, report and predictions to mlflow:URI, wandb:offline, '
    'wandb:PROJECT or tensorboard:DIR (tfeval guide exchange).',
    module_name='Results',
  )


def targets(flags) -> tuple[trackers.Target, ...]:
  """Returns where to log.

  Raises:
    UserError: one is malformed, not known or not installed.
  """
  return trackers.targets(flags.log_to)
