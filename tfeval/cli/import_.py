"""`tfeval import`."""

from tfeval.api.import_predictions import OUTPUT_DIR, import_predictions
from tfeval.cli import console, label_flags, output
from tfeval.runs import expectations
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval import --predictions=X [--flags]

  tfeval import --predictions=top5preds.npy --probabilities=top5probs.npy \\
      --order=class_folder --labels=original --labels=real.json --output_dir=RUN

X is an .npy, .npz, .csv or .parquet file with the best classes of each image or
with all outputs, or a folder of such files: NAME_top5preds.npy beside
NAME_top5probs.npy, NAME_preds.npy beside NAME_probs.npy, or single files.

CSV has the columns id and class_1 to class_k (1 is the best), perhaps with
probability_1 to probability_k beside them; or id and all outputs, in columns
named from 0 on or by id. Their numbers count, not their places. Parquet has
these columns, or id and lists: classes, perhaps with probabilities or
log_probs; or all logits or probabilities."""


def define_flags(define) -> None:
  define.string('predictions', None, 'A file, or a folder of files.')
  define.string(
    'probabilities', None, 'Probabilities of the classes in an .npy of classes.'
  )
  define.string(
    'order',
    None,
    'Which image each row is: file_name (validation image 1 '
    'first), class_folder (sorted by wnid, then file name), or the path of '
    'a list of ids. Not for rows that have ids.',
  )
  label_flags.define_labels(define, ['original'], 'by default original')
  define.string(
    'classes',
    None,
    'A file that names the classes in the order of the outputs, a line each, where '
    'they are not those of ILSVRC2012; the first --labels are then the original ones.',
  )
  define.enum(
    'output',
    None,
    ['logits', 'probabilities'],
    'What all outputs are, where their values do not tell.',
  )
  define.bool(
    'partial', False, 'Images may be missing; the result is marked as partial.'
  )
  define.bool('store_logits', False, 'Store all outputs of each image.')
  define.string(
    'output_dir',
    OUTPUT_DIR,
    'The run directory; of a folder of predictions there is one for each file in it.',
  )
  define.bool('overwrite', False, 'Replace what a run directory holds.')
  define.bool('json', False, 'Print a list of JSON results on stdout, nothing else.')
  output.define_expect(define)


def run(flags, arguments: list[str]) -> int:
  if arguments:
    raise UserError(
      f'unexpected argument {arguments[0]!r}: predictions are given as '
      '--predictions=FILE_OR_FOLDER'
    )
  if not flags.predictions:
    raise UserError(
      'no predictions were given: tfeval import --predictions=FILE_OR_FOLDER'
    )
  expected = [expectations.parse(text) for text in flags.expect]
  console.import_tensorflow_for([flags.output_dir])
  names = (
    *('predictions', 'probabilities', 'order', 'labels', 'data_dir', 'classes'),
    *('output', 'partial', 'store_logits', 'output_dir', 'overwrite'),
  )
  runs = import_predictions(**{name: flags[name].value for name in names})
  output.print_runs(runs, flags.json, show_examples=0)
  output.say_where(runs)
  return output.exit_code(runs, expected)
