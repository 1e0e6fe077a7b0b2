import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

// Unit tests stand beside the code; what starts a process, a socket or two packages is in test/.
export default defineConfig({
  // Workspace imports lead to the TypeScript sources; tests that spawn processes use the build.
  ssr: { resolve: { conditions: ['claudemesh-source'] } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Most of the time goes into waiting for processes, so that more workers than processors are busy.
    maxWorkers: 2 * availableParallelism(),
    sequence: { sequencer: LongestFirst },
    // The files of a worker share its modules: to load the sources anew for each costs a second of processor.
    isolate: false,
    // The tests of the broker on PostgreSQL share one cluster; it is started by the first that needs it.
    globalSetup: ['test/support/postgres-run.ts', 'test/support/scratch-run.ts'],
    setupFiles: ['test/support/scratch-place.ts'],
  },
})
