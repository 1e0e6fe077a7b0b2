export const chunkBytes = 1024 * 1024

/** So many chunks of 1 MiB, no two of them equal. */
export async function* chunks(count: number): AsyncIterable<Uint8Array> {
  const chunk = Buffer.alloc(chunkBytes, 'x')
  for (let index = 0; index < count; index += 1) {
    chunk.writeUInt32BE(index)
    yield chunk
  }
}

/** Reads all of a source. @returns how many bytes it gave */
export async function drain(body: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const chunk of body) bytes += chunk.length
  return bytes
}
