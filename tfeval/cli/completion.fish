# Completion of tfeval for fish: tfeval completion fish | source

function __tfeval_lacks_command
  test (count (commandline -opc)) -lt 2
end

function __tfeval_is
  set -l tokens (commandline -opc)
  test (count $tokens) -gt 1; and test "$tokens[2]" = $argv[1]
end

complete -c tfeval -e
complete -c tfeval -f
