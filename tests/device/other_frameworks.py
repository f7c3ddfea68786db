"""timm's model in a process of its own on the GPU, beside timm's own loop.

    python tests/device/other_frameworks.py --photos=FOLDER [--model=resnet50]
        [--count=8192] [--batch_size=256] [--turns=2] [--model_python=PYTHON]

Prints how many answers flip against the CPU (float32), and the speeds of whole commands
in turns with `peer.py`, whose PyTorch needs timm. Weights are random.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import check

import tfeval

STATE = 'import timm, torch, sys; torch.manual_seed(0); '
STATE += 'torch.save(timm.create_model(sys.argv[1]).state_dict(), sys.argv[2])'


def evaluate(args, folder, out, state, options, *flags, environment=None):
  """Evaluates in a process of its own; returns the run, and its seconds."""
  done, seconds = check.run(
    [
      *(sys.executable, '-m', 'tfeval', 'evaluate', '--preflight=off'),
      *(f'--model=timm:{args.model}{options}', f'--weights={state}', *flags),
      *(f'--dataset=folder:{folder}', f'--output_dir={out}'),
      *(f'--batch_size={args.batch_size}', f'--model_python={args.model_python}'),
    ],
    environment,
  )
  if done.returncode:
    sys.exit(done.stderr.strip().splitlines()[-1])
  (directory,) = out.iterdir()
  return tfeval.load_run(directory), seconds


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  few = not check.has_gpu()
  parser.add_argument('--photos', type=pathlib.Path, required=True)
  parser.add_argument('--model', default='resnet18' if few else 'resnet50')
  parser.add_argument('--model_python', default=sys.executable)
  parser.add_argument('--count', type=int, default=64 if few else 8192)
  parser.add_argument('--flip_count', type=int, default=32 if few else 128)
  parser.add_argument('--batch_size', type=int, default=16 if few else 256)
  parser.add_argument('--turns', type=int, default=1 if few else 2)
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as name:
    out = pathlib.Path(name)
    state = out / 'state.pth'
    subprocess.run([args.model_python, '-c', STATE, args.model, state], check=True)
    check_flips(args, out, state)
    folder = check.repeated(args.photos, args.count, out / 'many')
    check_speed(args, folder, out, state)


def check_flips(args, out, state) -> None:
  folder = check.repeated(args.photos, args.flip_count, out / 'few')
  answers = []
  for name, environment in (('device', None), ('cpu', check.CPU_ALONE)):
    run, _ = evaluate(args, folder, out / name, state, '', environment=environment)
    answers.append(check.first_classes(run))
    print(f'  {name}: {", ".join(run.result["compute"]["devices"])}', flush=True)
  flips = sum(answers[0][one] != answers[1][one] for one in answers[0])
  print(f'  {flips} of {len(answers[0])} flip', flush=True)


def check_speed(args, folder, out, state) -> None:
  half = '' if not check.has_gpu() else ':autocast=bfloat16'
  peer = [args.model_python, str(check.HERE / 'peer.py'), str(folder), args.model]
  cache = f'--cache_dir={out}/cache'
  for turn in range(args.turns):
    for name, flags in (('tfeval', ()), ('tfeval, cached', (cache,))):
      run, seconds = evaluate(
        *(args, folder, out / f'{name}{turn}', state, f':channels_last=1{half}'), *flags
      )
      steady = run.result['timing'].get('steady_images_per_second')
      print(
        f'  {name:16} {seconds:6.1f} s, whole command {args.count / seconds:,.0f} '
        f'images/s, steady {steady and round(steady)}',
        flush=True,
      )
    done, seconds = check.run([*peer, str(args.batch_size)])
    print(f'  PyTorch + timm   {check.told(done, args.count, seconds)}', flush=True)


if __name__ == '__main__':
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  main()
