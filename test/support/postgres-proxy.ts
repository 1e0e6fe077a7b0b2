/** Stands between a broker and its database, and can lose what the network may lose. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { onTestFinished } from 'vitest'

/** A whole statement: every transaction begins with a READ COMMITTED. */
const commit = 'COMMIT\0'

export interface PostgresProxy {
  /** Of the same database, through here. */
  readonly url: string
  /** The next commit reaches the database and its answer does not come back: the connection breaks instead. */
  loseNextCommit(): void
}

export async function openProxy(databaseUrl: string): Promise<PostgresProxy> {
  const { host, port } = new pg.Client({ connectionString: databaseUrl })
  const sockets = new Set<Socket>()
  let armed = false
  const server = createServer((near) => {
    const far = host.startsWith('/') ? connect(join(host, `.s.PGSQL.${port}`)) : connect(port, host)
    let losing = false
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (bytes) => {
      if (armed && bytes.includes(commit)) {
        armed = false
        losing = true
      }
      far.write(bytes)
    })
    far.on('data', (bytes) => {
      if (losing) near.destroy()
      else near.write(bytes)
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
    loseNextCommit: () => {
      armed = true
    },
  }
}
