// `npm run pack`: makes release/claudemesh-<version>.tgz, which `npm install -g` takes on a machine without this repository,
// and release/claudemesh-client-<version>.tgz, which programs of others install. The first holds what `npm run build` made to run, under the paths that it has here, because files are found from each other.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { manPage } from './man-page.mjs'
import { build, install, root, run, workspaces } from './prepare.mjs'

install()
build()

const release = join(root, 'release')
const target = join(release, 'package')
const bundle = 'apps/cli/dist/bundle'
rmSync(release, { recursive: true, force: true })
mkdirSync(target, { recursive: true })

for (const path of [
  'apps/cli/bin',
  'apps/cli/skill',
  bundle,
  'systemd',
  'launchd',
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
])
  copy(path)
for (const workspace of workspaces()) {
  const { name, version } = readManifest(workspace)
  // Programs tell the version of what they are made from.
  writeJson(join(workspace, 'package.json'), { name, version, type: 'module' })
  for (const path of migrationsOf(workspace)) copy(path)
}
writeJson('package.json', manifest())
writeFileSync(join(target, 'claudemesh.1'), await manPage(manifest().version))
writeFileSync(join(target, 'THIRD-PARTY-LICENSES.md'), licenses())
run('npm', ['pack', '--silent', '--pack-destination', release], { cwd: target })
packClient()

function manifest() {
  const { version, engines } = readManifest('apps/cli')
  const { description, license } = readManifest('.')
  return {
    name: 'claudemesh',
    version,
    description,
    license,
    type: 'module',
    engines,
    bin: { claudemesh: 'apps/cli/bin/claudemesh.js' },
    man: ['./claudemesh.1'],
    // Compiled for one machine, and so not in the bundle.
    dependencies: pick('packages/storage', 'dependencies', 'better-sqlite3'),
    optionalDependencies: pick('packages/artifacts', 'optionalDependencies', '@napi-rs/blake-hash'),
  }
}

/** The client, with what it shares with the daemon within it: a program of others finds both in one package. */
function packClient() {
  const client = join(release, 'client')
  const protocol = join(client, 'node_modules/@claudemesh/protocol')
  for (const [from, to] of [
    ['packages/client', client],
    ['packages/protocol', protocol],
  ]) {
    const isCode = (path) => !/\.(map|tsbuildinfo)$/.test(path)
    cpSync(join(root, from, 'dist'), join(to, 'dist'), { recursive: true, filter: isCode })
    for (const file of ['package.json', 'README.md']) cpSync(join(root, from, file), join(to, file))
  }
  cpSync(join(root, 'LICENSE'), join(client, 'LICENSE'))
  const { private: _, ...own } = readManifest('packages/client')
  const { dependencies } = readManifest('packages/protocol')
  const manifest = {
    ...own,
    license: readManifest('.').license,
    // What the protocol needs besides is found from within it.
    dependencies: { ...own.dependencies, ...dependencies },
    bundleDependencies: Object.keys(own.dependencies),
  }
  writeFileSync(join(client, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  run('npm', ['pack', '--silent', '--pack-destination', release], { cwd: client })
}

function pick(workspace, kind, name) {
  const version = readManifest(workspace)[kind]?.[name]
  if (version === undefined) throw new Error(`${workspace} has no ${name} in its ${kind}`)
  return { [name]: version }
}

function migrationsOf(workspace) {
  const dist = join(workspace, 'dist')
  const files = existsSync(join(root, dist)) ? readdirSync(join(root, dist), { recursive: true }) : []
  return files.filter((file) => file.endsWith('.sql')).map((file) => join(dist, file))
}

/** What the licences of the bundled packages ask for: their text beside the code. */
function licenses() {
  const sections = bundledPackages().map((name) => {
    const { version, license } = readManifest(join('node_modules', name))
    const file = readdirSync(join(root, 'node_modules', name)).find((entry) => /^(licen[cs]e|copying)/i.test(entry))
    const text = file === undefined ? '' : `\n\n${readFileSync(join(root, 'node_modules', name, file), 'utf8').trim()}`
    return `## ${name} ${version} (${license})${text}\n`
  })
  return `# Packages within the bundle\n\n${sections.join('\n')}`
}

/** Before each module of a package the bundle has a comment that says which one it is. */
function bundledPackages() {
  const names = new Set()
  for (const file of readdirSync(join(root, bundle))) {
    const text = readFileSync(join(root, bundle, file), 'utf8')
    for (const [, path] of text.matchAll(/^\/\/ (node_modules\/\S+)$/gm)) {
      const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? []
      if (name !== undefined && existsSync(join(root, 'node_modules', name, 'package.json'))) names.add(name)
    }
  }
  return [...names].sort()
}

function readManifest(directory) {
  return JSON.parse(readFileSync(join(root, directory, 'package.json'), 'utf8'))
}

function copy(path) {
  cpSync(join(root, path), join(target, path), { recursive: true })
}

function writeJson(path, value) {
  mkdirSync(join(target, path, '..'), { recursive: true })
  writeFileSync(join(target, path), `${JSON.stringify(value, null, 2)}\n`)
}
