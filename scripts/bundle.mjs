// Puts what runs as a process into a few files: to find, read and link a thousand modules costs a process a second of
// processor before its first line of work. Commands, daemon, broker and what they load late stay apart.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'rolldown'
import { root, workspaces } from './prepare.mjs'

/** What runs at a user, by what its files are called. */
const programs = {
  main: 'apps/cli/dist/main.js',
  daemon: 'apps/daemon/dist/main.js',
  broker: 'apps/broker/dist/main.js',
}

await bundle({ input: programs, output: join(root, 'apps/cli/dist/bundle') })
await bundle({ input: testChildren(), output: join(root, 'test/dist') })

/** What tests start beside it: `crash/children/store-operation.mjs` is `crash-store-operation`. */
function testChildren() {
  const paths = readdirSync(join(root, 'test')).flatMap((folder) => {
    const children = join('test', folder, 'children')
    if (!existsSync(join(root, children))) return []
    return readdirSync(join(root, children)).map((file) => [
      `${folder}-${file.replace('.mjs', '')}`,
      join(children, file),
    ])
  })
  return Object.fromEntries(paths)
}

async function bundle({ input, output }) {
  if (isCurrent({ input, output })) return
  await build({
    input: Object.fromEntries(Object.entries(input).map(([name, path]) => [name, join(root, path)])),
    platform: 'node',
    // Compiled for one machine, and what packages ask for that is not installed here.
    external: ['better-sqlite3', 'pg-native', 'bufferutil', 'utf-8-validate'],
    plugins: [keepAddresses(output)],
    // Names stay as they are written, so that a stack trace can be read. The directory is not emptied first, so that a
    // process can start while it is written.
    output: { dir: output, chunkFileNames: '[name].js', minifyInternalExports: false },
  })
}

/** Migrations and manifests are found from the address of a module: it keeps the one that it has in its `dist`. */
function keepAddresses(output) {
  return {
    name: 'keep-addresses',
    transform: {
      filter: { id: /\/(apps|packages)\/[^/]+\/dist\//, code: 'import.meta.url' },
      handler: (code, id) => {
        const address = JSON.stringify(relative(output, id))
        return code.replaceAll('import.meta.url', `new URL(${address}, import.meta.url).href`)
      },
    },
  }
}

/** What goes in comes from the compiler and from npm; each leaves a file that is as young as its newest output. */
function isCurrent({ input, output }) {
  const made = Object.keys(input).map((name) => join(output, `${name}.js`))
  if (!made.every(existsSync)) return false
  const compiled = workspaces().map((workspace) => join(root, workspace, 'dist/.tsbuildinfo'))
  const others = [join(root, 'node_modules/.package-lock.json'), fileURLToPath(import.meta.url)]
  const sources = [...compiled, ...Object.values(input).map((path) => join(root, path)), ...others]
  const youngest = Math.max(...sources.map((path) => statSync(path).mtimeMs))
  return made.every((path) => statSync(path).mtimeMs >= youngest)
}
