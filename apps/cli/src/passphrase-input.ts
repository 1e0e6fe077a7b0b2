/**
 * Where a passphrase comes from: a file, a pipe, or the keys of a person. Never the command line or the environment,
 * which other programs of the host can read.
 */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { text as readAll } from 'node:stream/consumers'
import type { OptionDefinition } from './command.ts'
import { invalidUsage } from './flags.ts'
import { readTextFile } from './text-input.ts'

export const passphraseOption: OptionDefinition = {
  syntax: '--passphrase-file <path>',
  describe:
    'read the passphrase from a file, - for stdin; default: ask for it, or read stdin where nobody can be asked',
}

/**
 * @param o.repeat whether a person is asked twice, because nobody could find out later that the first time was a slip
 * @throws MeshError invalid_usage when there is none
 */
export async function readPassphrase(o: { readonly file: string | null; readonly repeat: boolean }): Promise<string> {
  const passphrase = withoutLineEnd(await readSource(o))
  if (passphrase !== '') return passphrase
  throw invalidUsage('the passphrase is empty', 'Type it, pipe it in, or name a file with --passphrase-file <path>.')
}

async function readSource({ file, repeat }: { file: string | null; repeat: boolean }): Promise<string> {
  if (file !== null && file !== '-') return readTextFile(file)
  if (file === '-' || process.stdin.isTTY !== true) return await readAll(process.stdin)
  const passphrase = await ask('passphrase: ')
  if (repeat && (await ask('once more: ')) !== passphrase) throw invalidUsage('the two passphrases differ')
  return passphrase
}

/** An editor or `echo` ends a file with a line end, which nobody counts as part of what they chose. */
function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '')
}

/** Asks on stderr, so that stdout stays data, and shows nothing of what is typed. */
function ask(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  process.stderr.write(question)
  return new Promise((resolve, reject) => {
    let answered = false
    lines.question('', (answer) => {
      answered = true
      lines.close()
      resolve(answer)
    })
    lines.once('close', () => {
      process.stderr.write('\n')
      if (!answered) reject(invalidUsage('no passphrase was given'))
    })
  })
}
