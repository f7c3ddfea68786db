"""Plans that nobody evaluates: models, runs and pieces in number alone."""

from tfeval.evaluation.pieces import planned
from tfeval.evaluation.pieces.planned import Plan, PlanFile, PlannedConfig, PlannedRun


def plan_of(models: int, runs: int, pieces: int) -> Plan:
  """Returns a plan of models with some runs each, all of as many pieces of an image."""
  return Plan(
    PlanFile(
      kind=planned.KIND,
      schema_version=planned.SCHEMA_VERSION,
      tfeval='0',
      code_sha256='0' * 64,
      piece_images=1,
      configs=[PlannedConfig(options={}, dataset={})],
      runs=[
        PlannedRun(
          directory=f'{model}+{run}',
          model=f'model{model}',
          weights='imagenet',
          label=f'model{model}',
          config=0,
          images=pieces,
          preflight=False,
        )
        for model in range(models)
        for run in range(runs)
      ],
    )
  )
