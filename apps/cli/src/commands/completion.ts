import type { CommandDefinition, Invocation } from '../command.ts'
import { scripts } from '../completion/scripts.ts'
import { exitCodes } from '../exit-codes.ts'
import { invalidUsage } from '../flags.ts'
import { oneLine } from '../output/printable.ts'

export const command: CommandDefinition = {
  summary: 'Print what a shell completes commands, options, peers, topics and queues with',
  arguments: [
    { syntax: '<shell>', describe: 'bash, zsh or fish; candidates: what those ask' },
    { syntax: '[words...]', describe: 'after candidates --: the words so far' },
  ],
  examples: [
    { line: 'source <(claudemesh completion bash)', describe: 'in ~/.bashrc' },
    { line: 'source <(claudemesh completion zsh)', describe: 'in ~/.zshrc, after compinit' },
    {
      line: 'claudemesh completion fish > ~/.config/fish/completions/claudemesh.fish',
      describe: 'once; then in every new shell',
    },
  ],

  async run(invocation) {
    const [shell = '', ...words] = invocation.args
    if (shell === 'candidates') await printCandidates(words, invocation)
    else {
      const script = scripts[shell]
      if (script === undefined) throw invalidUsage(`completion is there for ${Object.keys(scripts).join(', ')}`)
      invocation.terminal.line(script.trimEnd())
    }
    return exitCodes.ok
  },
}

async function printCandidates(words: readonly string[], invocation: Invocation): Promise<void> {
  const { findCandidates } = await import('../completion/candidates.ts')
  const { knownNames } = await import('../completion/known-names.ts')
  const { environment, terminal, commands } = invocation
  const names = knownNames({ environment, mesh: meshIn(words) })
  // Whatever cannot be found out, a home without a mesh among it, is nothing to complete with.
  const candidates = await findCandidates(words, { names, commands }).catch(() => [])
  for (const { text, describe } of candidates) terminal.line(`${oneLine(text)}\t${oneLine(describe)}`)
}

/** Named in the line that is being typed. */
function meshIn(words: readonly string[]): string | null {
  const index = words.indexOf('--mesh')
  const value = index === -1 || index >= words.length - 2 ? undefined : words[index + 1]
  return value ?? words.map((word) => /^--mesh=(.+)$/.exec(word)?.[1]).find((slug) => slug !== undefined) ?? null
}
