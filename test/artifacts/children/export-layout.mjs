// Imports the image layout in one directory and exports what it holds into another one, then prints the digest.
import { encodeManifest, exportLayout, formatContentAddress, planImport } from '@claudemesh/artifacts'

const [from, directory] = process.argv.slice(2)
const [planned] = await planImport(from)
const files = new Map(planned.files.map((file) => [formatContentAddress(file.digests.primary), file]))
const { digest } = await exportLayout(
  {
    manifestBytes: encodeManifest(planned.manifest),
    signatures: [],
    read: (address) => files.get(address).read(),
  },
  { directory },
)
console.log(digest)
