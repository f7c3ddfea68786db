#compdef tfeval
# Completion of tfeval for zsh: source <(tfeval completion zsh), behind compinit.

@COMMON@

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
