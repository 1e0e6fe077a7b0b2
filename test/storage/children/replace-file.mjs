// Replaces one file by a new content.
import { writeFileAtomic } from '@claudemesh/storage'

const [path, content] = process.argv.slice(2)
writeFileAtomic(path, content, { mode: 0o600 })
console.log('replaced')
