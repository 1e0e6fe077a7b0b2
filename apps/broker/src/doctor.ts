/**
 * Looks through the database of a broker for what cannot be, while the broker runs or not. It reads only, and migrates
 * nothing.
 */
import { existsSync } from 'node:fs'
import { MeshError } from '@claudemesh/protocol'
import { type BrokerConfig, loadConfig } from './config.ts'
import { dataPaths } from './data-directory.ts'
import { examinationRowsMax, inspectionFindingsShown } from './limits.ts'
import { examineBlobFiles } from './relay/examine-files.ts'
import { type InconsistencyName, inconsistencyOf } from './store/inspection/inconsistencies/statements.ts'
import type { ExaminedDatabase, InspectionPosition, InspectionStep, Risk } from './store/inspection.ts'
import { ExaminedFile } from './store/sqlite/inspection/examined-file.ts'

/** What was found of one kind. */
interface DoctorFinding {
  readonly name: InconsistencyName
  readonly meaning: string
  readonly remedy: string
  /** How many there are. */
  readonly count: number
  /** The first of them: the table, and the columns that lead to the row; or, in words, what is wrong. */
  readonly rows: readonly Readonly<Record<string, string | number>>[]
}

interface Diagnosis {
  /** Rows per table; a row counts once, however many checks it went through. Empty when no row could be checked. */
  readonly checked: Readonly<Record<string, number>>
  readonly findings: readonly DoctorFinding[]
  /** What is not wrong with any row, and lets a power cut take rows back. */
  readonly risks: readonly Risk[]
}

/**
 * Goes through everything once: the file, the schema, every check of every row, then the files of blobs.
 *
 * @param overrides as for `runBroker`: the database is the one that a broker would start on
 * @throws MeshError `config_invalid`, `invalid_usage` when there is no database, `storage_unavailable`, `storage_failed`
 */
export async function examineBroker(
  overrides: Partial<Pick<BrokerConfig, 'data' | 'databaseUrl'>>,
): Promise<Diagnosis> {
  const config = loadConfig(process.env, overrides)
  const database = await openExamined(config)
  try {
    return await examine(database, config.relay?.directory ?? null)
  } finally {
    await database.close()
  }
}

async function openExamined({ data, databaseUrl }: BrokerConfig): Promise<ExaminedDatabase> {
  if (databaseUrl !== null) {
    const { ExaminedServer } = await import('./store/postgres/inspection/examined-server.ts')
    return new ExaminedServer(databaseUrl)
  }
  const path = dataPaths(data).database
  if (existsSync(path)) return ExaminedFile.open(path)
  throw new MeshError('invalid_usage', {
    detail: `there is no database of a broker in ${data}`,
    hint: 'Name its directory with --data, or its PostgreSQL database with --database-url.',
  })
}

/** @param blobDirectory null: no blobs are relayed */
async function examine(database: ExaminedDatabase, blobDirectory: string | null): Promise<Diagnosis> {
  const findings = new Findings()
  const risks = await database.listRisks()
  // Of a damaged file, or tables of another shape, nothing else can be told.
  for (const damage of (await database.listDamage()) ?? []) findings.note('file_damaged', { damage })
  if (!findings.isEmpty) return { checked: {}, findings: findings.list(), risks }
  const { found, known } = await database.readSchema()
  if (found !== known) findings.note('schema_differs', { found, known })
  if (!findings.isEmpty) return { checked: {}, findings: findings.list(), risks }
  const checked = await examineRows(database, findings)
  const files = blobDirectory === null ? null : await examineBlobFiles(database.blobs, blobDirectory)
  for (const { name, row } of files ?? []) findings.note(name, row)
  return { checked, findings: findings.list(), risks }
}

/** @returns rows per table */
async function examineRows(database: ExaminedDatabase, findings: Findings): Promise<Record<string, number>> {
  const checked: Record<string, number> = {}
  let rowsOfCheck = 0
  let position: InspectionPosition | null = null
  do {
    const step: InspectionStep = await database.inspect(position, examinationRowsMax)
    for (const { name, table, row } of step.findings) findings.note(name, { table, ...row })
    const continues = step.next !== null && step.next.check === (position?.check ?? 0)
    rowsOfCheck += step.rows
    // Each check of a table walks all of it, and meets more or fewer rows as others write.
    checked[step.table] = Math.max(checked[step.table] ?? 0, rowsOfCheck)
    if (!continues) rowsOfCheck = 0
    position = step.next
  } while (position !== null)
  return checked
}

class Findings {
  readonly #byName = new Map<InconsistencyName, { count: number; rows: DoctorFinding['rows'][number][] }>()

  get isEmpty(): boolean {
    return this.#byName.size === 0
  }

  note(name: InconsistencyName, row: DoctorFinding['rows'][number]): void {
    const found = this.#byName.get(name) ?? { count: 0, rows: [] }
    this.#byName.set(name, found)
    found.count += 1
    if (found.rows.length < inspectionFindingsShown) found.rows.push(row)
  }

  list(): readonly DoctorFinding[] {
    return [...this.#byName].map(([name, { count, rows }]) => {
      const { meaning, remedy } = inconsistencyOf(name)
      return { name, meaning, remedy, count, rows }
    })
  }
}
