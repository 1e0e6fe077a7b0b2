/** Which mesh a command acts in: --mesh, else CLAUDEMESH_MESH, else the only one, else `home`. */
import { existsSync, readdirSync } from 'node:fs'
import type { Environment } from './environment.ts'
import { homePaths, MeshError, meshFilePath, meshSlugPattern, meshSlugs } from './protocol.ts'

const slugRegExp = new RegExp(meshSlugPattern)
const defaultSlug = 'home'

/**
 * @returns the slug of a mesh that this home has
 * @throws MeshError mesh_not_configured, invalid_usage
 */
export function selectMesh(o: { readonly environment: Environment; readonly mesh: string | null }): string {
  const { environment } = o
  const meshes = listMeshes(environment.home)
  const named = o.mesh ?? environment.mesh
  const slug = named ?? (meshes.length === 1 ? meshes[0] : undefined) ?? defaultSlug
  if (named !== null) assertSlug(named)
  if (existsSync(meshFilePath(environment.home, slug))) return slug
  if (meshes.length === 0) {
    throw new MeshError('mesh_not_configured', { detail: `${environment.home} has no mesh yet`, data: { meshes } })
  }
  const detail =
    named === null
      ? `${environment.home} has several meshes: ${meshes.join(', ')}`
      : `${environment.home} has no mesh ${slug}; it has ${meshes.join(', ')}`
  throw new MeshError('mesh_not_configured', {
    detail,
    data: { meshes },
    hint: 'Name one with --mesh <slug> or CLAUDEMESH_MESH.',
  })
}

/** The slugs of the meshes of a home, sorted. */
export function listMeshes(home: string): readonly string[] {
  const directory = homePaths(home).meshes
  if (!existsSync(directory)) return []
  return meshSlugs(readdirSync(directory))
}

/** A slug becomes part of paths: it is checked before it does. */
export function assertSlug(slug: string): void {
  if (slugRegExp.test(slug)) return
  throw new MeshError('invalid_usage', {
    detail: `"${slug}" is no slug of a mesh`,
    hint: 'A slug has 1 to 32 of a-z 0-9 - and begins with a letter or a digit.',
  })
}
