import { defineConfig } from 'vitest/config'

// Unit tests stand beside the code; what starts a process, a socket or two packages is in test/.
// The condition makes workspace imports resolve to the TypeScript sources; tests that spawn processes use the build.
export default defineConfig({
  ssr: { resolve: { conditions: ['claudemesh-source'] } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    // The tests of the broker on PostgreSQL share one cluster; it is started by the first that needs it.
    globalSetup: ['test/support/postgres-run.ts'],
    // Half of the files wait for processes most of the time, so that more workers than processors are busy.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
