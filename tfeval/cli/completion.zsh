#compdef tfeval
# Completion of tfeval for zsh: source <(tfeval completion zsh), behind compinit.

# Sets kind, names and files to what stands behind a flag of a command; - beside flags.
_tfeval_values() {
  kind=words files=1 names=()
  case "$1/$2" in
    @VALUES@
  esac
}

# Sets flags to those of a command, each with what it is for.
_tfeval_flags() {
  flags=()
  case "$1" in
    @FLAGS@
  esac
}

# Prints the name of a flag that was given as --name, -m or --some-name.
_tfeval_name() {
  local name=${1%%=*}
  case $name in
    -m) name=model ;;
    -d) name=dataset ;;
    -b) name=batch_size ;;
    -o) name=output_dir ;;
  esac
  while [[ $name == -* ]]; do name=${name#-}; done
  printf %s "${name//-/_}"
}

# Whether what is given is a flag of the command that has a value.
_tfeval_takes() {
  local -a flags
  _tfeval_flags "$1"
  [[ -n ${(M)flags:#--$(_tfeval_name "$2")=*} ]]
}

_tfeval_complete() {
  local kind files
  local -a names
  _tfeval_values "$1" "$2"
  [[ $kind == none ]] && return 1
  [[ $kind == several ]] && compset -P '*,'
  compadd -S '' -- ${(M)names:#*:}
  compadd -- ${names:#*:}
  if (( files )); then
    compset -P '[a-z]##:'
    _files
  fi
}

_tfeval() {
  local command=${words[2]} before=${words[CURRENT - 1]}
  local -a flags commands
  if (( CURRENT == 2 )); then
    commands=(
    @COMMANDS@
    )
    _describe -t commands command commands
  elif [[ $PREFIX == -*=* ]]; then
    local flag=$(_tfeval_name "$PREFIX")
    compset -P 1 '*='
    _tfeval_complete "$command" "$flag"
  elif [[ $before == -* && $before != *=* ]] && _tfeval_takes "$command" "$before"; then
    _tfeval_complete "$command" "$(_tfeval_name "$before")"
  elif [[ $PREFIX == -* ]]; then
    _tfeval_flags "$command"
    local -a taking=(${(M)flags:#--[a-z0-9_]##=:*}) plain=(${flags:#--[a-z0-9_]##=:*})
    _describe -o -t flags flag taking -S '' -M 'm:-=_'
    _describe -o -t flags flag plain -M 'm:-=_'
  else
    _tfeval_complete "$command" -
  fi
}

if (( $+functions[compdef] )); then compdef _tfeval tfeval; fi
