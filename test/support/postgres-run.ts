/**
 * The cluster that the files of one run share. Here is only its directory: the first test that needs a database starts
 * it (see postgres.ts), and it goes when the run ends.
 */
import type { TestProject } from 'vitest/node'
import { makeClusterDirectory, PostgresCluster } from './postgres-cluster.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the shared cluster is, or will be. */
    clusterDirectory: string
  }
}

let directory: string | null = null

export function setup(project: TestProject): void {
  directory = makeClusterDirectory()
  project.provide('clusterDirectory', directory)
}

export async function teardown(): Promise<void> {
  if (directory !== null) await PostgresCluster.removeAt(directory)
}
