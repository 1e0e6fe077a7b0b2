import { existsSync, readdirSync } from 'node:fs'
import { homePaths, meshSlugs } from '@claudemesh/protocol'

/** The meshes of a home, whether their daemons run or not. */
export function meshesOf(home: string): readonly string[] {
  const { meshes } = homePaths(home)
  return existsSync(meshes) ? meshSlugs(readdirSync(meshes)) : []
}
