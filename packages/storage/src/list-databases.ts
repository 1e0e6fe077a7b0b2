import { readdirSync } from 'node:fs'

/** The names of the databases in a directory and of their companions; none when there is no such directory. */
export function listDatabases(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => /\.db(-wal|-shm|-journal)?$/.test(name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
