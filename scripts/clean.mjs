// Removes what the build made; dependencies stay.
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './prepare.mjs'

for (const workspace of ['packages', 'apps']) {
  for (const name of readdirSync(join(root, workspace))) {
    rmSync(join(root, workspace, name, 'dist'), { recursive: true, force: true })
  }
}
for (const folder of ['bench', 'test']) rmSync(join(root, folder, 'dist'), { recursive: true, force: true })
rmSync(join(root, 'release'), { recursive: true, force: true })
