"""Answers of several models to one image as a table, 80 columns wide and up."""

from collections.abc import Sequence

from rich import table as rich_table

from tfeval.answers import Answered, Answerer
from tfeval.reports.plain import new_table

# A class that only one of two models has among its highest.
_NOT_TOLD = '-'


def answers_table(models: Sequence[Answerer], image: Answered) -> rich_table.Table:
  """Returns a table with a row for each class that a model has among its highest.

  The classes that some model ranks first come first, then those ranked second.

  Args:
    models: as many as the image has answers.
    image: what they answered.
  """
  table = new_table()
  # What tells classes apart is never cut; names and titles are broken.
  table.add_column('class', no_wrap=True)
  table.add_column('name', overflow='fold')
  for model in models:
    table.add_column(title(model), justify='right', overflow='fold',
                     min_width=len('1000.  0.000'))
  cells: dict[int, list[str]] = {}
  named = {}
  ranked = sorted((answer.rank, place, answer) for place, answers in
                  enumerate(image.answers) for answer in answers)
  for rank, place, answer in ranked:
    row = cells.setdefault(answer.index, [_NOT_TOLD] * len(models))
    row[place] = f'{rank}. {probability(answer.probability):>6}'
    named[answer.index] = (answer.wnid, answer.name.replace('_', ' '))
  for index, row in cells.items():
    table.add_row(*named[index], *row)
  return table


def title(model: Answerer) -> str:
  """Returns a model and its protocol on lines that are short where they can be."""
  name = model.name.replace(':', ':\n', 1)
  return f'{name}\n{model.protocol}\n{model.size} px'


def probability(value: float) -> str:
  """Returns a probability with three decimals.

  >>> probability(0.12345), probability(0.0001), probability(0)
  ('0.123', '<0.001', '0.000')
  """
  return '<0.001' if 0 < value < 0.0005 else f'{value:.3f}'
