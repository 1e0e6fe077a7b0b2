/** Reading a store of artifacts: pages far into a listing, and how soon whoever follows the log has a commit. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRegistry, type Registry } from '@claudemesh/artifacts'
import BetterSqlite3 from 'better-sqlite3'
import { type Benchmark, type Contest, quantile, type Sample } from '../benchmark.ts'
import { prepareInsert, readRow } from '../statements.ts'
import { followP99 } from './following.ts'
import { openStore } from './open-store.ts'

const pageRows = 100
const requests = 200

export const artifactReading: Benchmark = {
  name: 'artifact-reading',
  limit: 'the first page of the same listing; a millisecond',
  size: { unit: 'files', whenAlone: 1_000_000, inWholeRun: 100_000 },
  rounds: 3,
  figures: [
    {
      name: 'P11 last page',
      about: '99th percentile of the last page of a listing / of its first page',
      target: { atMost: 2 },
    },
    {
      name: 'P9 commit to follower',
      about: '99th percentile from the commit to a follower in the same process',
      target: { atMost: 10 },
      unit: 'ms',
    },
    {
      name: 'P9 commit to follower elsewhere',
      about: 'the same to a follower of another handle, which finds it by looking every 100 ms',
      target: { atMost: 150 },
      unit: 'ms',
    },
  ],
  prepare,
}

async function prepare(files: number): Promise<Contest> {
  const directory = mkdtempSync(join(tmpdir(), 'claudemesh-bench-'))
  const { registry, packageId } = await openStore(directory)
  const path = join(directory, 'db', 'registry.db')
  await fill(registry, { packageId, path, files })
  const other = await openRegistry({ databaseUrl: `sqlite:${path}`, storageRoot: join(directory, 'objects') })
  const pageP99 = (after: string) =>
    p99(requests, async () => {
      const started = performance.now()
      const { items } = await registry.listFiles(packageId, { after, limit: pageRows })
      if (items.length !== pageRows) throw new Error('a page is not full')
      return performance.now() - started
    })
  return {
    subject: async (): Promise<Sample> => ({
      'P11 last page': await pageP99(pathOf(files - pageRows - 1)),
      'P9 commit to follower': await followP99(registry, { writer: registry, packageId }),
      'P9 commit to follower elsewhere': await followP99(other, { writer: registry, packageId }),
    }),
    limit: async (): Promise<Sample> => ({
      'P11 last page': await pageP99(''),
      'P9 commit to follower': 1,
      'P9 commit to follower elsewhere': 1,
    }),
    close: async () => {
      await other.close()
      await registry.close()
      rmSync(directory, { recursive: true })
    },
  }
}

/** The paths are in the order of their numbers. */
function pathOf(index: number): string {
  return `file/${String(index).padStart(8, '0')}`
}

/** Files as rows of the view, like one that came the usual way: only they are read here. */
async function fill(registry: Registry, o: { packageId: string; path: string; files: number }): Promise<void> {
  const source = async function* () {
    yield Buffer.from('x')
  }
  const place = { relativePath: pathOf(0), mediaType: 'text/plain', actor: 'local' }
  await registry.ingestFile(o.packageId, { ...place, source: source() })
  const like = readRow(o.path, 'artifact_files')
  const db = new BetterSqlite3(o.path)
  const insert = prepareInsert(db, 'artifact_files', like)
  db.transaction(() => {
    for (let index = 1; index < o.files; index += 1) {
      const path = pathOf(index)
      insert({ ...like, file_id: String(index).padStart(26, '0'), relative_path: path, path_key: path })
    }
  })()
  db.close()
}

async function p99(count: number, measure: () => Promise<number>): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < count; index += 1) times.push(await measure())
  return quantile(
    times.sort((a, b) => a - b),
    0.99,
  )
}
