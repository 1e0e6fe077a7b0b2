/**
 * What each shell is told once: to ask `claudemesh completion candidates` for what may come next. What it answers is a line for
 * each candidate, the text and what it is, with a tab between them; where there is none, the shell offers files.
 */

export const scripts: Readonly<Record<string, string>> = {
  bash: `# claudemesh for bash. In ~/.bashrc: source <(claudemesh completion bash)
_claudemesh() {
  local line="\${COMP_LINE:0:COMP_POINT}" words=() current candidate breaks cut=''
  read -a words <<<"$line"
  [[ "$line" == *[[:space:]] ]] && words+=('')
  current="\${words[\${#words[@]} - 1]}"
  # Readline replaces what follows the last character that ends a word for it, such as : (an @ belongs to its word).
  breaks="\${COMP_WORDBREAKS//[^:=]/}"
  [[ -n "$breaks" && "$current" == *[$breaks]* ]] && cut="\${current%"\${current##*[$breaks]}"}"
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    COMPREPLY+=("$(printf '%q' "\${candidate#"$cut"}")")
  done < <(claudemesh completion candidates -- "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _claudemesh claudemesh
`,

  zsh: `#compdef claudemesh
# claudemesh for zsh. In ~/.zshrc, after compinit: source <(claudemesh completion zsh)
_claudemesh() {
  local -a values described
  local line
  for line in "\${(@f)$(claudemesh completion candidates -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z "$line" ]] && continue
    values+=("\${line%%$'\\t'*}")
    described+=("\${line/$'\\t'/  -- }")
  done
  if (( $#values )); then compadd -l -d described -a values; else _files; fi
}
if [[ "\${funcstack[1]}" == _claudemesh ]]; then _claudemesh "$@"; else compdef _claudemesh claudemesh; fi
`,

  fish: `# claudemesh for fish: claudemesh completion fish > ~/.config/fish/completions/claudemesh.fish
function __claudemesh_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found (claudemesh completion candidates -- $words[2..-1] "$current" 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c claudemesh -f -a '(__claudemesh_candidates)'
`,
}
