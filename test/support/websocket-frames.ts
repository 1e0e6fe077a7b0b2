/** Reads WebSocket frames out of a stream of bytes (RFC 6455), and writes text frames as a server does. */

export interface WireFrame {
  readonly opcode: number
  readonly fin: boolean
  /** Set on the first frame of a compressed message. */
  readonly compressed: boolean
  /** Unmasked. */
  readonly payload: Buffer
  /** As it came, head and mask included. */
  readonly bytes: Buffer
}

export const textOpcode = 1

/** The frames of one direction of one connection. */
export class FrameReader {
  #rest = Buffer.alloc(0)

  /** @returns the frames that are complete with these bytes */
  push(bytes: Buffer): WireFrame[] {
    this.#rest = Buffer.concat([this.#rest, bytes])
    const frames: WireFrame[] = []
    for (let frame = readFrame(this.#rest); frame !== null; frame = readFrame(this.#rest)) {
      frames.push(frame)
      this.#rest = this.#rest.subarray(frame.bytes.length)
    }
    return frames
  }
}

function readFrame(bytes: Buffer): WireFrame | null {
  if (bytes.length < 2) return null
  const short = bytes.readUInt8(1) & 0x7f
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
  const maskBytes = (bytes.readUInt8(1) & 0x80) === 0 ? 0 : 4
  const start = 2 + lengthBytes + maskBytes
  if (bytes.length < start) return null
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  if (bytes.length < start + length) return null
  const mask = bytes.subarray(start - maskBytes, start)
  const payload = Buffer.from(bytes.subarray(start, start + length))
  if (maskBytes > 0) for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index & 3] ?? 0)
  const head = bytes.readUInt8(0)
  return {
    opcode: head & 0x0f,
    fin: (head & 0x80) !== 0,
    compressed: (head & 0x40) !== 0,
    payload,
    bytes: Buffer.from(bytes.subarray(0, start + length)),
  }
}

/** One whole text message, unmasked: as a server sends it. */
export function encodeTextFrame(text: string): Buffer {
  const payload = Buffer.from(text, 'utf8')
  const head = Buffer.alloc(10)
  head.writeUInt8(0x80 | textOpcode)
  head.writeUInt8(127, 1)
  head.writeBigUInt64BE(BigInt(payload.length), 2)
  return Buffer.concat([head, payload])
}
