import { MeshError, memberNamePattern, meshSlugPattern } from '@claudemesh/protocol'

const memberNameRegExp = new RegExp(memberNamePattern)
const meshSlugRegExp = new RegExp(meshSlugPattern)

/** @throws MeshError `invalid_request` */
export function assertMemberName(name: string): void {
  if (memberNameRegExp.test(name)) return
  throw new MeshError('invalid_request', {
    detail: 'a member name has 1 to 64 of a-z 0-9 . _ - and begins with a letter or a digit',
    data: { field: 'name' },
    hint: 'Choose another name with --name.',
  })
}

/** @throws MeshError `invalid_request` */
export function assertMeshSlug(slug: string): void {
  if (meshSlugRegExp.test(slug)) return
  throw new MeshError('invalid_request', {
    detail: 'the slug of a mesh has 1 to 32 of a-z 0-9 - and begins with a letter or a digit',
    data: { field: 'slug' },
    hint: 'Choose another slug with --mesh.',
  })
}
