/** Reads WebSocket frames out of a stream of bytes (RFC 6455), and writes frames, also such as nobody should. */

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
  return encodeFrame({ opcode: textOpcode, payload: text, masked: false })
}

/** One frame as a client sends it, except where it is told otherwise. */
export function encodeFrame(o: {
  readonly opcode: number
  readonly payload: string | Buffer
  readonly masked?: boolean
  /** False: more of the message is to come. */
  readonly fin?: boolean
  /** The three reserved bits, 0x40 to 0x10. */
  readonly reserved?: number
  /** What the frame says of its length, when it lies. */
  readonly length?: bigint
}): Buffer {
  const { opcode, masked = true, fin = true, reserved = 0 } = o
  const payload = Buffer.from(o.payload)
  const length = o.length ?? BigInt(payload.length)
  const short = length < 126n
  const head = Buffer.alloc(short ? 2 : 10)
  head.writeUInt8((fin ? 0x80 : 0) | reserved | opcode)
  head.writeUInt8((masked ? 0x80 : 0) | (short ? Number(length) : 127), 1)
  if (!short) head.writeBigUInt64BE(length, 2)
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), payload])
}
