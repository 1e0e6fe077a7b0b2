// Removes what the build made; dependencies stay.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { root, workspaces } from './prepare.mjs'

for (const folder of [...workspaces(), 'bench', 'test'])
  rmSync(join(root, folder, 'dist'), { recursive: true, force: true })
rmSync(join(root, 'release'), { recursive: true, force: true })
