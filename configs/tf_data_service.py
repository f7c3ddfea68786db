"""A tf.data service for `tfeval evaluate --tf_data_service=HOST:PORT`.

On one machine the dispatcher, on as many as there are the workers, which see the images
under the same path as the evaluation and have the same TensorFlow:

    python tf_data_service.py dispatcher --port=5050
    python tf_data_service.py worker --dispatcher=HOST:5050

Workers may come and go. Both stop with Ctrl-C or SIGTERM. They listen on all interfaces
and ask nobody who he is: in a trusted network only.
"""

import argparse
import os
import signal
import socket
import sys

STOP = {signal.SIGINT, signal.SIGTERM}


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  commands = parser.add_subparsers(dest='command', required=True)
  dispatcher = commands.add_parser('dispatcher', help='tells workers what to do')
  dispatcher.add_argument(
    '--port',
    type=port,
    default=5050,
    help='where to listen; 0: any (default: %(default)s)',
  )
  worker = commands.add_parser('worker', help='reads and decodes')
  worker.add_argument('--dispatcher', type=address, required=True, metavar='HOST:PORT')
  worker.add_argument(
    '--port',
    type=port,
    default=0,
    help='where to listen; 0: any (default: %(default)s)',
  )
  arguments = parser.parse_args()
  # Before TensorFlow makes threads: none of them may take the signal.
  signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
  try:
    server = (
      start_dispatcher(arguments.port)
      if arguments.command == 'dispatcher'
      else start_worker(arguments.dispatcher, arguments.port)
    )
  except OSError as error:
    print(f'tf_data_service: {error.strerror or error}', file=sys.stderr)
    return 2
  signal.sigwait(STOP)
  server._stop()  # Without waiting for those that still read from it.
  return 0


def port(text: str) -> int:
  """Returns a port number."""
  if not text.isdecimal() or int(text) >= 1 << 16:
    raise argparse.ArgumentTypeError(f'{text!r} is no port: give 0 to 65535')
  return int(text)


def address(text: str) -> tuple[str, int]:
  """Returns host and port of HOST:PORT."""
  host, _, number = text.rpartition(':')
  if not host:
    raise argparse.ArgumentTypeError(f'{text!r} is no HOST:PORT')
  return host.strip('[]'), port(number)


def start_dispatcher(number: int):
  """Starts a dispatcher and prints its port."""
  check_free(number)
  service = tensorflow().data.experimental.service
  server = service.DispatchServer(service.DispatcherConfig(port=number))
  print(f'dispatcher on port {server.target.rpartition(":")[2]}', flush=True)
  return server


def start_worker(dispatcher: tuple[str, int], number: int):
  """Starts a worker and prints under which address it is reached."""
  check_free(number)
  where = join(*dispatcher)
  try:
    with socket.create_connection(dispatcher, 30) as connection:
      # Others reach this machine by the address from which it reaches the dispatcher.
      host = connection.getsockname()[0]
  except OSError as error:
    raise OSError(
      f'no dispatcher at {where} ({error.strerror or error}): start it first'
    ) from error
  service = tensorflow().data.experimental.service
  server = service.WorkerServer(
    service.WorkerConfig(
      dispatcher_address=where, worker_address=join(host, '%port%'), port=number
    )
  )
  print(f'worker of {where}', flush=True)
  return server


def check_free(number: int) -> None:
  """Holds that nobody listens on a port, which gRPC would share without a word."""
  with socket.socket() as own:
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      own.bind(('', number))
    except OSError as error:
      raise OSError(
        f'port {number} cannot be used ({error.strerror}): give another --port'
      ) from error


def join(host: str, number: int | str) -> str:
  return f'[{host}]:{number}' if ':' in host else f'{host}:{number}'


def tensorflow():
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  import tensorflow  # After all that can be told at once: it takes seconds.

  return tensorflow


if __name__ == '__main__':
  sys.exit(main())
