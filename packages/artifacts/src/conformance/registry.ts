/**
 * What every store does, whatever engine and backend it is on (06 §11, §13), as cases for any test runner: each with a
 * store that holds nothing yet, whose clock the case owns. They use `node:assert` and nothing of a runner.
 */

import { answersCases } from './registry/answers.ts'
import { batchCases } from './registry/batches.ts'
import { contentsCases } from './registry/contents.ts'
import { imagesCases } from './registry/images.ts'
import { packagesCases } from './registry/packages.ts'
import { pathsCases } from './registry/paths.ts'
import { retentionCases } from './registry/retention.ts'
import type { RegistryCase } from './registry/scenario.ts'
import { sharesCases } from './registry/shares.ts'
import { uploadsCases } from './registry/uploads.ts'

export const registryCases: readonly RegistryCase[] = [
  ...packagesCases,
  ...pathsCases,
  ...contentsCases,
  ...uploadsCases,
  ...batchCases,
  ...answersCases,
  ...retentionCases,
  ...imagesCases,
  ...sharesCases,
]
