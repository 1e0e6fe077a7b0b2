/** Takes out of a document what JSON paths (RFC 9535) name, before a hook sees it. */
import type { JSONPathQuery, JSONValue } from 'json-p3'

const redactedText = '[redacted]'

/** Replaces in place. Throws where a document cannot be searched, such as one that is nested too deep. */
export type Redact = (document: Record<string, unknown>) => void

/** @returns why a path is none, or null */
export async function findPathFault(path: string): Promise<string | null> {
  const { compile, JSONPathError } = await import('json-p3')
  try {
    compile(path)
    return null
  } catch (error) {
    if (!(error instanceof JSONPathError)) throw error
    return error.message
  }
}

/** Loads the library for paths where there is one. */
export async function compileRedaction(paths: readonly string[]): Promise<Redact> {
  if (paths.length === 0) return () => undefined
  const { compile } = await import('json-p3')
  const queries = paths.map((path) => compile(path))
  return (document) => {
    for (const query of queries) redact(query, document)
  }
}

function redact(query: JSONPathQuery, document: Record<string, unknown>): void {
  for (const { location } of query.query(document as JSONValue).nodes) {
    const last = location.at(-1)
    if (last === undefined) throw new Error('a path names the whole document')
    // An outer node may have gone before an inner one.
    const parent = location.slice(0, -1).reduce<unknown>(memberOf, document)
    if (parent !== null && typeof parent === 'object') (parent as Record<string | number, unknown>)[last] = redactedText
  }
}

function memberOf(value: unknown, name: string | number): unknown {
  return value !== null && typeof value === 'object' ? (value as Record<string | number, unknown>)[name] : undefined
}
