/** One document, followed from its first line to its last by people who have nothing but what it tells them. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { killIfThere } from '../cli/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { claudemeshBin, cleanEnvironment } from '../support/managed-process.ts'
import { readText, root } from '../tidy/sources.ts'
import { type Block, blocksOf } from './blocks.ts'
import { differenceOf, patternOf } from './shown-output.ts'
import { type Followed, Terminal, type Typed } from './terminal.ts'

/** Who reads on the host where a document begins. */
const reader = 'alice'

export interface Script {
  readonly as: string
  readonly script: string
}

/** What was there before a document begins. */
export interface Beginning {
  /** Typed by the reader and by others, in this order. */
  readonly typed?: readonly Script[]
  /** Files that the reader has in the working directory. */
  readonly files?: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string>>
}

/** Two members of one mesh, whose daemons run. */
export const twoMembers: readonly Script[] = [
  { as: reader, script: 'claudemesh init --name alice; claudemesh daemon start' },
  { as: reader, script: 'claudemesh invite create > reviewer.token' },
  { as: 'reviewer', script: 'claudemesh join --token-file reviewer.token --name reviewer; claudemesh daemon start' },
]

export interface Counts {
  blocks: number
  commands: number
  compared: number
  readonly skipped: string[]
}

interface Following {
  readonly block: Block
  readonly followed: Followed
  shown: Block | null
}

export class DocumentRun {
  readonly counts: Counts = { blocks: 0, commands: 0, compared: 0, skipped: [] }
  readonly #path: string
  readonly #directory: string
  readonly #work: string
  readonly #environment: Readonly<Record<string, string>>
  readonly #terminals = new Map<string, Terminal>()
  readonly #following: Following[] = []

  /** @param path of the document, from the root of the repository */
  constructor(path: string, { files = {}, environment = {} }: Beginning = {}) {
    this.#path = path
    // Short, since the path of a socket must be.
    this.#directory = mkdtempSync(join(tmpdir(), 'cd-'))
    this.#work = join(this.#directory, 'work')
    const bin = join(this.#directory, 'bin')
    for (const directory of [this.#work, bin]) mkdirSync(directory, { mode: 0o700 })
    writeFileSync(join(bin, 'claudemesh'), `#!/bin/sh\nexec "${process.execPath}" "${claudemeshBin}" "$@"\n`)
    chmodSync(join(bin, 'claudemesh'), 0o755)
    for (const [name, text] of Object.entries(files)) this.#writeFile(join(this.#work, name), text)
    const inherited = cleanEnvironment()
    this.#environment = {
      ...inherited,
      PATH: `${bin}:${dirname(process.execPath)}:${inherited['PATH']}`,
      // Of git, for those whose home directory says nothing.
      ...{ GIT_CONFIG_COUNT: '2', GIT_CONFIG_KEY_0: 'user.name', GIT_CONFIG_VALUE_0: 'Alice' },
      ...{ GIT_CONFIG_KEY_1: 'user.email', GIT_CONFIG_VALUE_1: 'alice@example.org' },
      ...environment,
    }
  }

  /** @returns what the last of them printed */
  async begin({ typed = [] }: Beginning): Promise<string> {
    let printed = ''
    for (const { as, script } of typed) {
      const ran = await this.#terminal(as).type(script)
      if (ran.status !== 0) throw new Error(`the beginning of ${this.#path}: ${told(ran)}`)
      printed = ran.stdout
    }
    return printed
  }

  async follow(): Promise<void> {
    let last: { readonly block: Block; readonly ran: Typed } | Following | null = null
    for (const block of blocksOf(readText(this.#path))) {
      const file = block.options.get('file')
      if (file !== undefined) this.#writeFile(this.#resolve(file), block.text)
      else if (block.language === 'sh') last = await this.#type(block)
      else if (isOutput(block) && block.followsBlock && last !== null) {
        if ('ran' in last) this.#compare(block, last.ran.stdout)
        else last.shown = block
      }
    }
    for (const each of this.#following) await this.#endFollowing(each)
  }

  /** Ends every process that was started, and removes every file. */
  end(): void {
    for (const { followed } of this.#following) followed.signal('SIGKILL')
    for (const terminal of this.#terminals.values()) terminal.close()
    for (const entry of readdirSync(this.#directory, { recursive: true, encoding: 'utf8' })) {
      if (/(^|\/)pid$/.test(entry)) killIfThere(Number(readFileSync(join(this.#directory, entry), 'utf8')))
    }
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }

  async #type(block: Block) {
    const { options, text } = block
    const reason = options.get('skip')
    if (reason !== undefined) {
      this.#skip(block, reason)
      return null
    }
    this.counts.blocks += 1
    this.counts.commands += text.split('\n').filter((line) => /^\S/.test(line) && !/^[#})]/.test(line)).length
    const terminal = this.#terminal(options.get('home') ?? reader)
    if (options.has('follow')) {
      const following: Following = { block, followed: terminal.follow(text), shown: null }
      this.#following.push(following)
      return following
    }
    const expected = Number(options.get('exit') ?? 0)
    const ran = await terminal.type(text, { mayFail: expected !== 0 })
    if (ran.status !== expected) throw new Error(`${this.#place(block)}: exit code ${told(ran)}\n\n${text}`)
    return { block, ran }
  }

  #skip(block: Block, reason: string): void {
    if (!/^[a-z0-9-]{5,}$/.test(reason) && !existsSync(join(root, reason))) {
      throw new Error(`${this.#place(block)}: "${reason}" is neither a reason nor a test that is there`)
    }
    this.counts.skipped.push(`${this.#place(block)} ${reason}`)
  }

  #compare(block: Block, found: string): void {
    this.counts.compared += 1
    if (block.language === 'json') {
      const difference = differenceOf(JSON.parse(block.text), JSON.parse(found))
      if (difference !== null) throw new Error(`${this.#place(block)}: not what was printed: ${difference}\n${found}`)
    } else if (!patternOf(block.text).test(found)) {
      throw new Error(`${this.#place(block)}: not what was printed:\n${found}`)
    }
  }

  async #endFollowing({ block, followed, shown }: Following): Promise<void> {
    const isThere = () => (shown === null ? followed.stdout !== '' : patternOf(shown.text).test(followed.stdout))
    try {
      await eventually(`${this.#place(block)} prints what is shown`, () => isThere() || !followed.isRunning)
      if (!isThere()) throw new Error('it has ended')
      if (shown !== null) this.counts.compared += 1
      await followed.interrupt()
    } catch (cause) {
      throw new Error(`${this.#place(block)}: ${String(cause)}\n${followed.stdout}${followed.notes}`, { cause })
    }
  }

  #terminal(name: string): Terminal {
    const there = this.#terminals.get(name)
    if (there !== undefined) return there
    const home = join(this.#directory, name)
    const terminal = new Terminal({ work: this.#work, home, env: this.#environment })
    this.#terminals.set(name, terminal)
    return terminal
  }

  #resolve(file: string): string {
    return file.startsWith('~/') ? join(this.#terminal(reader).home, file.slice(2)) : join(this.#work, file)
  }

  #writeFile(path: string, text: string): void {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, text, { mode: text.startsWith('#!') ? 0o700 : 0o600 })
  }

  #place(block: Block): string {
    return `${this.#path}:${block.line}`
  }
}

function isOutput({ language }: Block): boolean {
  return language === 'text' || language === 'json'
}

function told({ status, stdout, notes }: Typed): string {
  return `${status}: ${notes}${stdout}`
}
