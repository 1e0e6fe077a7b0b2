/** Stands between a broker and its database, and can lose what the network may lose. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { onTestFinished } from 'vitest'

/** A whole statement, and the tag of its answer: every transaction begins with a READ COMMITTED. */
const commit = 'COMMIT\0'

/** How the next commit fails for whoever asked for it. */
interface BrokenCommit {
  /** `before`: it does not reach the database; `behind`: it does, and its answer does not come back. */
  readonly moment: 'before' | 'behind'
  /** What happens at that moment, before the connection breaks. */
  readonly meanwhile: () => Promise<void>
}

export interface PostgresProxy {
  /** Of the same database, through here. */
  readonly url: string
  /** @returns when it has happened, and what had to happen meanwhile */
  breakNextCommit(how: BrokenCommit): Promise<void>
}

export async function openProxy(databaseUrl: string): Promise<PostgresProxy> {
  const { host, port } = new pg.Client({ connectionString: databaseUrl })
  const sockets = new Set<Socket>()
  let armed: (BrokenCommit & { readonly done: (broken: Promise<void>) => void }) | null = null
  const server = createServer((near) => {
    const far = host.startsWith('/') ? connect(join(host, `.s.PGSQL.${port}`)) : connect(port, host)
    let breaking: typeof armed = null
    const breakNow = () => {
      if (breaking === null) return
      breaking.done(breaking.meanwhile().then(() => void near.destroy()))
    }
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (bytes) => {
      if (armed !== null && bytes.includes(commit)) {
        breaking = armed
        armed = null
        if (breaking.moment === 'before') {
          breakNow()
          return
        }
      }
      far.write(bytes)
    })
    far.on('data', (bytes) => {
      if (breaking === null) near.write(bytes)
      else if (breaking.moment === 'behind' && bytes.includes(commit)) breakNow()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const url = new URL(databaseUrl)
  url.searchParams.delete('host')
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: url.href,
    breakNextCommit: (how) =>
      new Promise((resolve) => {
        armed = { ...how, done: resolve }
      }),
  }
}
