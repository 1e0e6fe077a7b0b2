import { syncDirectory } from '../../sync-directory.ts'

/**
 * Syncs of directories that are asked for at the same time, made together: each directory once, and all at once, so that a
 * file system which writes its journal for one of them has written it for the others.
 */
export class DirectorySyncs {
  #wanted = new Set<string>()
  #next: Promise<void> | null = null
  #running: Promise<void> = Promise.resolve()

  /** Fulfilled when the names that are in the directories now are durable. @throws errors of the file system as they are */
  sync(directories: Iterable<string>): Promise<void> {
    for (const directory of directories) this.#wanted.add(directory)
    // A sync that has begun may have missed them.
    this.#next ??= this.#running.then(() => this.#run())
    return this.#next
  }

  #run(): Promise<void> {
    const directories = [...this.#wanted]
    this.#wanted = new Set()
    this.#next = null
    const running = Promise.all(directories.map(syncDirectory)).then(() => undefined)
    this.#running = running.catch(() => undefined)
    return running
  }
}
