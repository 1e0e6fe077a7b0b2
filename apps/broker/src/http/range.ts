import type { ByteRange } from '@claudemesh/artifacts/blobs'
import { MeshError } from '@claudemesh/protocol'

/**
 * What a `Range` header asks for (RFC 9110, 14): one range of bytes. Anything else is ignored, as if it were not there.
 *
 * @throws MeshError `range_not_satisfiable`: the last bytes of which there are none
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const [, first = '', last = ''] = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/.exec(header ?? '') ?? []
  if (first === '' && last === '') return undefined
  if (first === '') {
    if (Number(last) === 0) throw new MeshError('range_not_satisfiable')
    return { start: Math.max(0, size - Number(last)) }
  }
  if (last === '') return { start: Number(first) }
  // An end before the beginning is no range at all.
  return Number(last) < Number(first) ? undefined : { start: Number(first), end: Number(last) }
}
