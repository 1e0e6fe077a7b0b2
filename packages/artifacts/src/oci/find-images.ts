/** The image manifests that a layout leads to, also through indexes within indexes (06 §15). */
import { type Descriptor, type ImageManifest, invalidLayout, parseIndex, parseManifest } from './documents.ts'
import type { LayoutReader } from './layout-reader.ts'
import { indexTypes, manifestTypes, refKey } from './names.ts'

export interface FoundImage {
  readonly descriptor: Descriptor
  readonly manifest: ImageManifest
  /** The name by which the layout lists it, or the index it is in; null when it has none. */
  readonly ref: string | null
}

/** Indexes within each other, `index.json` being the first. */
const depthMax = 8
const documentsMax = 10_000

/**
 * Each image manifest once, in the order in which they are listed.
 *
 * @param ref only what the layout lists by this name
 * @throws ArtifactError `invalid_layout`; as `LayoutReader`
 */
export async function findImages(reader: LayoutReader, ref: string | undefined): Promise<FoundImage[]> {
  const root = parseIndex(await reader.readIndex())
  const listed = root.manifests.filter(({ annotations }) => ref === undefined || annotations?.[refKey] === ref)
  if (ref !== undefined && listed.length === 0) throw invalidLayout('ref', `It lists nothing by the name ${ref}.`)
  const walk: Walk = { reader, images: [], seen: new Set() }
  for (const descriptor of listed) {
    await visit(walk, { descriptor, ref: descriptor.annotations?.[refKey] ?? null, depth: 1 })
  }
  return walk.images
}

interface Walk {
  readonly reader: LayoutReader
  readonly images: FoundImage[]
  /** Digests. What was seen is not read again: neither a cycle nor many ways to one index cost more than one. */
  readonly seen: Set<string>
}

interface Place {
  readonly descriptor: Descriptor
  readonly ref: string | null
  /** Indexes above it. */
  readonly depth: number
}

async function visit(walk: Walk, { descriptor, ref, depth }: Place): Promise<void> {
  const kind = kindOf(descriptor)
  // Types that are not known here are none of ours to judge.
  if (kind === null || walk.seen.has(descriptor.digest)) return
  walk.seen.add(descriptor.digest)
  if (walk.seen.size > documentsMax) throw invalidLayout('too_many', `It leads to more than ${documentsMax} documents.`)
  if (kind === 'index' && depth === depthMax) {
    throw invalidLayout('too_deep', `Its indexes nest deeper than ${depthMax}.`)
  }
  const bytes = await walk.reader.readDocument(descriptor)
  if (kind === 'manifest') {
    walk.images.push({ descriptor, manifest: assertType(parseManifest(bytes), descriptor), ref })
    return
  }
  const { manifests } = assertType(parseIndex(bytes), descriptor)
  for (const inner of manifests) await visit(walk, { descriptor: inner, ref, depth: depth + 1 })
}

function kindOf({ mediaType }: Descriptor): 'manifest' | 'index' | null {
  if (manifestTypes.has(mediaType)) return 'manifest'
  return indexTypes.has(mediaType) ? 'index' : null
}

/** A document that calls itself something else than its descriptor does could be read as either. */
function assertType<T extends { readonly mediaType?: string | undefined }>(document: T, descriptor: Descriptor): T {
  if (document.mediaType === undefined || document.mediaType === descriptor.mediaType) return document
  throw invalidLayout('media_type', `A document is listed as ${descriptor.mediaType} and calls itself otherwise.`)
}
