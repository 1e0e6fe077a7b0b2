/**
 * What every log of decisions does (07 §2), as cases for any test runner: each with a log that holds nothing yet, whose
 * clock the case owns. They use `node:assert` and nothing of a runner.
 */
import { appendCases } from './appends.ts'
import { importCases } from './imports.ts'
import { jsonlCases } from './jsonl.ts'
import { readCases } from './reads.ts'
import type { DecisionLogCase } from './scenario.ts'

export const decisionLogCases: readonly DecisionLogCase[] = [
  ...appendCases,
  ...readCases,
  ...importCases,
  ...jsonlCases,
]
