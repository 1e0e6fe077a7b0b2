// Takes each lock whose path it reads, and says whether it holds it. It holds what it has until it is killed.
import { createInterface } from 'node:readline'
import { FileLock } from '@claudemesh/storage'

console.log('ready')
createInterface(process.stdin).on('line', (path) => {
  console.log(FileLock.acquire(path) === null ? 'busy' : 'held')
})
