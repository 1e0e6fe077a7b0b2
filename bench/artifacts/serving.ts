/** A large file of artifacts from a daemon, over its socket, checked on the way. */
import { rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ArtifactsOf } from '../../test/artifacts/daemon-client.ts'
import { type TestMember, TestMesh } from '../../test/support/mesh.ts'
import type { Benchmark, Contest, Sample } from '../benchmark.ts'
import { forkReady } from '../load.ts'
import { chunkBytes, chunks, drain } from './chunks.ts'

const figure = 'P4 serving over the socket'

export const artifactServing: Benchmark = {
  name: 'artifact-serving',
  limit: 'Fastify streaming the same file over a socket like it',
  size: { unit: 'MiB', whenAlone: 1024, inWholeRun: 128 },
  rounds: 3,
  figures: [
    {
      name: figure,
      about: 'GET of a file from a daemon, checked / the same bytes streamed by Fastify',
      target: { atLeast: 0.5 },
    },
  ],
  prepare,
}

async function prepare(mebibytes: number): Promise<Contest> {
  const mesh = await TestMesh.start(['alice'])
  const member = mesh.member('alice')
  const fileId = await put(member, mebibytes)
  const path = join(mesh.directory, 'plain')
  const handle = await open(path, 'w')
  await pipeline(chunks(mebibytes), handle.createWriteStream())
  const socketPath = join(mesh.directory, 'plain.sock')
  const plain = await forkReady('stream-file', [socketPath, path])
  const rate = async (socket: string, url: string): Promise<Sample> => {
    const started = performance.now()
    const bytes = await drain(await answerTo({ socketPath: socket, method: 'GET', path: url }))
    if (bytes !== mebibytes * chunkBytes) throw new Error(`${bytes} bytes came`)
    return { [figure]: mebibytes / (performance.now() - started) }
  }
  return {
    subject: () => rate(member.socket, `/v1/artifacts/files/${fileId}/download`),
    limit: () => rate(socketPath, '/file'),
    close: async () => {
      plain.kill()
      rmSync(path)
      await mesh.end()
    },
  }
}

async function put({ socket }: TestMember, mebibytes: number): Promise<string> {
  const packageId = await new ArtifactsOf(() => socket).newPackage()
  const path = `/v1/artifacts/packages/${packageId}/files/large`
  const answer = await answerTo({ socketPath: socket, method: 'PUT', path }, chunks(mebibytes))
  const body = Buffer.concat(await answer.toArray())
  return (JSON.parse(body.toString()) as { readonly file_id: string }).file_id
}

/** @throws Error it is refused */
function answerTo(
  target: { readonly socketPath: string; readonly method: string; readonly path: string },
  body: AsyncIterable<Uint8Array> | readonly Uint8Array[] = [],
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...target, agent: false }, (answer) => {
      if ((answer.statusCode ?? 500) < 300) resolve(answer)
      else reject(new Error(`${target.path} is answered with ${answer.statusCode}`))
    })
    outgoing.on('error', reject)
    pipeline(Readable.from(body), outgoing).catch(reject)
  })
}
