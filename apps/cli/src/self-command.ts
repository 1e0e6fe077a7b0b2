import { fileURLToPath } from 'node:url'

/**
 * The program and first arguments that run this command line again, for processes that stay. Their young objects live
 * in a small space of the heap: it would grow to 32 MiB while the modules are loaded and not shrink when they are. And
 * they may collect what starting left behind.
 */
export const selfCommand: readonly string[] = [
  process.execPath,
  '--max-semi-space-size=4',
  '--expose-gc',
  fileURLToPath(new URL('../bin/claudemesh.js', import.meta.url)),
]
