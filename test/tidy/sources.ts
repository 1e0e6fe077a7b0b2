/** The repository as the tidy tests see it: its files, their text, and the syntax trees of its sources. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Node, type SourceFile, SyntaxKind } from 'typescript/unstable/ast'
import { API } from 'typescript/unstable/sync'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const notOurs = new Set(['node_modules', 'dist', 'vectors'])

/** Every file and folder that people write, relative to the root; folders end with a slash. */
export function listPaths(): string[] {
  return ['apps', 'packages', 'scripts', 'test', 'docs'].flatMap((folder) => walk(`${folder}/`))
}

function walk(folder: string): string[] {
  const paths = [folder]
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (notOurs.has(entry.name) || entry.name.startsWith('.')) continue
    if (entry.isDirectory()) paths.push(...walk(`${folder}${entry.name}/`))
    else paths.push(folder + entry.name)
  }
  return paths
}

/** What runs at a user: sources of apps and packages, without their tests. */
export function isProduction(path: string): boolean {
  return /^(apps|packages)\/[^/]+\/src\/.*\.ts$/.test(path) && !path.endsWith('.test.ts')
}

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** Lines as an editor counts them. */
export function countLines(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

/** One source with its syntax tree. */
export interface Source {
  readonly path: string
  readonly tree: SourceFile
}

/** Calls `visit` with every production source. The trees are TypeScript's own, and are gone afterwards. */
export function visitProductionSources(visit: (source: Source) => void): void {
  const api = new API({ cwd: root })
  try {
    const [project] = api.updateSnapshot({ openProject: join(root, 'tsconfig.test.json') }).getProjects()
    if (project === undefined) throw new Error('tsconfig.test.json names no project')
    const paths = listPaths().filter(isProduction)
    for (const path of paths) {
      const tree = project.program.getSourceFile(join(root, path))
      if (tree === undefined) throw new Error(`tsconfig.test.json leaves out ${path}`)
      visit({ path, tree })
    }
  } finally {
    api.close()
  }
}

/** Calls `visit` with every node below `node`. */
export function visitNodes(node: Node, visit: (node: Node) => void): void {
  node.forEachChild((child) => {
    visit(child)
    visitNodes(child, visit)
  })
}

const textKinds = new Set([
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateHead,
  SyntaxKind.TemplateMiddle,
  SyntaxKind.TemplateTail,
])

/** The text of a string literal, or of one part of a template between its substitutions; null for other nodes. */
export function literalText(node: Node): string | null {
  return textKinds.has(node.kind) && 'text' in node && typeof node.text === 'string' ? node.text : null
}

/** Where a node begins, as an editor writes it. */
export function placeOf(source: Source, node: Node): string {
  const { line } = source.tree.getLineAndCharacterOfPosition(node.getStart())
  return `${source.path}:${line + 1}`
}

/** The quoted first arguments of `describe` and `test`. */
export function namesOfTests(source: string): readonly string[] {
  const calls = /\b(?:describe|test)(?:\.[\w.]+)?(?:\([^()]*\))?\(\s*(['"`])([\s\S]*?[^\\])\1/g
  return [...source.matchAll(calls)].map(([, , name = '']) => name)
}
