/** Homes with a mesh for one test, in temporary directories. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { foundHomeAt, type HomeOptions, joinHomeAt, type TestHome } from './home-files.ts'

export type { TestHome } from './home-files.ts'

interface Where {
  /** Default: a new directory below the temp directory, removed when the test is over. */
  readonly directory?: string
}

/** A home whose member founded the mesh. */
export function foundHome(options: HomeOptions & Where = {}): TestHome {
  return foundHomeAt(options.directory ?? temporaryDirectory(), options)
}

/** The home of another member of the same mesh, joined by an invite of the first. */
export function joinHome(
  host: TestHome,
  options: Omit<HomeOptions, 'slug'> & Where & { readonly name: string },
): TestHome {
  return joinHomeAt(options.directory ?? temporaryDirectory(), host, options)
}

function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'cm-home-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  return path
}
