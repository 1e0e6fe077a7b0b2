import { MeshError, type SendRequest, type SharedFiles } from '@claudemesh/protocol'
import type { DiskPressure } from '@claudemesh/storage'
import { messageBytesMax } from '../limits.ts'
import { readContent, type SendContent } from './content.ts'
import { type MemberLookup, type NamedRecipients, type Resolution, Resolver } from './resolve.ts'

/** A request whose own form is good, with what is in its way at this moment. */
export interface PreparedSend {
  readonly content: SendContent
  readonly named: NamedRecipients
  readonly resolution: Resolution
  /** The message is larger than the broker takes inline. */
  readonly sizeFault: MeshError | null
}

/** Reads requests to send: the same way for a `POST` and for the payload that an operator patches into a row. */
export class SendPreparation {
  readonly #resolver: Resolver
  readonly #inlineBytes: () => number
  readonly #diskPressure: () => DiskPressure

  /** @param o.inlineBytes the bytes of a message that the broker takes inline, as last negotiated */
  constructor(o: {
    readonly members: MemberLookup
    readonly refreshDirectory: () => Promise<void>
    readonly inlineBytes: () => number
    readonly diskPressure: () => DiskPressure
  }) {
    this.#resolver = new Resolver(o)
    this.#inlineBytes = o.inlineBytes
    this.#diskPressure = o.diskPressure
  }

  /**
   * A promise only where the broker has to be asked for a name.
   *
   * @param toField the field of the request that `to` came from
   * @param files what is shared with the message
   * @throws MeshError when the request is wrong in itself
   */
  prepare(
    request: SendRequest,
    toField: string,
    files: SharedFiles | null = null,
  ): PreparedSend | Promise<PreparedSend> {
    const content = { ...readContent(request), files }
    const named = { to: request.to, toField, mentions: request.mentions ?? [] }
    const complete = (resolution: Resolution): PreparedSend => {
      return { content, named, resolution, sizeFault: this.#findSizeFault(content.body.length) }
    }
    const resolution = this.#resolver.resolve(named)
    return resolution instanceof Promise ? resolution.then(complete) : complete(resolution)
  }

  /** What keeps any new row from being stored now: the last of the disk is for what was accepted before. */
  findDiskFault(): MeshError | null {
    return this.#diskPressure() === 'full' ? new MeshError('insufficient_storage') : null
  }

  #findSizeFault(bytes: number): MeshError | null {
    const bytesMax = Math.min(this.#inlineBytes(), messageBytesMax)
    if (bytes <= bytesMax) return null
    return new MeshError('payload_too_large', {
      detail: `the message has ${bytes} bytes; at most ${bytesMax} travel inline`,
      data: { field: 'message', bytes, inline_bytes: bytesMax },
    })
  }
}
