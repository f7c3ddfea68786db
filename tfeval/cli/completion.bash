# Completion of tfeval for bash: source <(tfeval completion bash)

@COMMON@

# Adds what begins with the last part of a text to COMPREPLY.
_tfeval_complete() {
  local text=$1 head='' kind files one
  local -a names
  _tfeval_values "$command" "$2"
  if [[ $kind == none ]]; then return; fi
  if [[ $kind == several ]]; then
    head=${text%"${text##*,}"}
    text=${text##*,}
  fi
  for one in "${names[@]}"; do
    if [[ $one == "$text"* ]]; then COMPREPLY+=("$head$one"); fi
  done
  if (( files )); then
    # Files alone: in names bash would put a \ before each colon.
    if (( ${#COMPREPLY[@]} == 0 )); then compopt -o filenames 2>/dev/null; fi
    if [[ $text == *:* && ${#COMPREPLY[@]} == 0 ]]; then
      head+=${text%"${text##*:}"}
      text=${text##*:}
    fi
    if [[ $text == '~'/* ]]; then
      text=$HOME${text#'~'}
    fi
    while IFS= read -r one; do
      COMPREPLY+=("$head$one")
    done < <(compgen -f -- "$text")
  fi
}

_tfeval() {
  local line=${COMP_LINE:0:COMP_POINT} word before command='' one
  local -a tokens flags commands=(
    @COMMANDS@
  )
  COMPREPLY=()
  # As typed: bash takes what stands between = and : for words.
  read -ra tokens <<<"$line"
  word=''
  if [[ $line != *[[:space:]] ]]; then
    word=${tokens[${#tokens[@]} - 1]}
    unset "tokens[${#tokens[@]} - 1]"
  fi
  if (( ${#tokens[@]} < 2 )); then
    for one in "${commands[@]}" --help --version; do
      if [[ $one == "$word"* ]]; then COMPREPLY+=("$one"); fi
    done
    return
  fi
  command=${tokens[1]}
  before=${tokens[${#tokens[@]} - 1]}
  if [[ $word == -*=* ]]; then
    _tfeval_complete "${word#*=}" "$(_tfeval_name "$word")"
    COMPREPLY=("${COMPREPLY[@]/#/${word%%=*}=}")
  elif [[ $before == -* && $before != *=* ]] && _tfeval_takes "$before"; then
    _tfeval_complete "$word" "$(_tfeval_name "$before")"
  elif [[ $word == -* ]]; then
    _tfeval_flags "$command"
    # --batch-s is --batch_s.
    before=--$(_tfeval_name "$word")
    for one in "${flags[@]}"; do
      if [[ $one == "$before"* ]]; then COMPREPLY+=("$one"); fi
    done
  else
    _tfeval_complete "$word" -
  fi
  _tfeval_shorten "$word"
}

# Whether what is given is a flag that has a value.
_tfeval_takes() {
  local one name
  local -a flags
  name=$(_tfeval_name "$1")
  _tfeval_flags "$command"
  for one in "${flags[@]}"; do
    if [[ $one == "--$name=" ]]; then return 0; fi
  done
  return 1
}

# Leaves what bash puts in place of its own last word, and says where no space follows.
_tfeval_shorten() {
  local word=$1 one start head=''
  for one in = :; do
    if [[ $COMP_WORDBREAKS == *"$one"* && $word == *"$one"* ]]; then
      start=${word%"${word##*"$one"}"}
      if (( ${#start} > ${#head} )); then head=$start; fi
    fi
  done
  COMPREPLY=("${COMPREPLY[@]#"$head"}")
  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=:] ]]; then
    compopt -o nospace 2>/dev/null
  fi
  if [[ ${#COMPREPLY[@]} == 1 && -z ${COMPREPLY[0]} ]]; then COMPREPLY=(); fi
}

complete -F _tfeval tfeval
