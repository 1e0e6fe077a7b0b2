/**
 * The blocks of a document that a test runs, and how the document says so: by words behind the language of a fence, which no
 * reader is shown.
 *
 * | fence                       | what becomes of it                                                                     |
 * | --------------------------- | -------------------------------------------------------------------------------------- |
 * | `sh`                        | is typed, in the order of the document, into one shell that goes on from block to block |
 * | `sh home=reviewer`          | into the shell of another person, with a home directory of its own                     |
 * | `sh exit=65`                | ends with that code                                                                    |
 * | `sh follow`                 | runs beside the rest until the document ends; it must print something                  |
 * | `sh skip=needs-root`        | is not run, and why; the name of a test says which one runs it                         |
 * | `text`, `json` after a `sh` | is what that one prints, where `…` stands for anything                                 |
 * | `<language> file=<path>`    | is written to that file, of the home directory when the path begins with `~/`          |
 */

/** One fenced block. */
export interface Block {
  readonly language: string
  readonly text: string
  /** Where it begins, as an editor counts lines. */
  readonly line: number
  readonly options: ReadonlyMap<string, string>
  /** Whether only empty lines part it from the block before. */
  readonly followsBlock: boolean
}

const fence = /^```(.*)$/

/** Every fenced block of a document. Blocks are not indented, so that all of them are found. */
export function blocksOf(document: string): readonly Block[] {
  const blocks: Block[] = []
  let open: { readonly info: string; readonly line: number; readonly lines: string[] } | null = null
  let followsBlock = false
  for (const [index, line] of document.split('\n').entries()) {
    const [, info] = fence.exec(line) ?? []
    if (open !== null && info === '') {
      blocks.push(readBlock(open, followsBlock))
      open = null
      followsBlock = true
    } else if (open !== null) open.lines.push(line)
    else if (info !== undefined) open = { info, line: index + 1, lines: [] }
    else if (line !== '') followsBlock = false
  }
  return blocks
}

function readBlock(
  { info, line, lines }: { readonly info: string; readonly line: number; readonly lines: readonly string[] },
  followsBlock: boolean,
): Block {
  const [language = '', ...words] = info.split(' ')
  const options = new Map(words.map((word) => [word.replace(/=.*/, ''), word.replace(/^[^=]*=?/, '')]))
  return { language, text: `${lines.join('\n')}\n`, line, options, followsBlock }
}
