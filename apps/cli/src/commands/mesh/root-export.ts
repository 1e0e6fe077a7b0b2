import type { MeshFile } from '@claudemesh/identity'
import type { CommandDefinition } from '../../command.ts'
import { exitCodes } from '../../exit-codes.ts'
import { invalidUsage } from '../../flags.ts'
import { selectMesh } from '../../mesh-selection.ts'
import { MeshError, meshFilePath } from '../../protocol.ts'

export const command: CommandDefinition = {
  summary: 'Write the root key of a mesh to a file, to be kept where no host can lose it',
  arguments: [{ syntax: '[slug]', describe: 'default: the mesh that other commands act in' }],
  options: [{ syntax: '--out <path>', describe: 'a new file, readable by you alone; - prints the secret on stdout' }],
  examples: [
    { line: 'claudemesh mesh root export --out team-root.json', describe: 'then move it to a safe place' },
    { line: 'claudemesh mesh root export --out - | age -p > team-root.age', describe: 'never in plain text on a disk' },
  ],

  async run({ args, flags, mesh, environment, terminal }) {
    const out = flags.text('out')
    if (out === null) {
      throw invalidUsage(
        'where the root key goes is missing',
        'Name a new file with --out <path>, or --out - for stdout.',
      )
    }
    const { readMeshFile } = await import('@claudemesh/identity')
    const slug = selectMesh({ environment, mesh: args[0] ?? mesh })
    const document = describeRoot(slug, readMeshFile(meshFilePath(environment.home, slug)))
    const text = JSON.stringify(document, null, 2)
    if (out === '-') {
      terminal.print({ value: document, render: () => [text] })
      return exitCodes.ok
    }
    await writeNewSecret(out, `${text}\n`)
    terminal.print({
      value: { out, mesh: slug, mesh_id: document.mesh.mesh_id, root_key: document.mesh.root_key },
      render: (value) => [`the root key of mesh ${slug} is in ${value.out}: whoever has it can make admins`],
    })
    return exitCodes.ok
  },
}

/** The mesh record is there too: with the secret it is all that a mesh begins with. */
function describeRoot(slug: string, { mesh, rootSeed }: MeshFile) {
  if (rootSeed !== null) return { version: 1, mesh, root_seed: Buffer.from(rootSeed).toString('base64url') }
  throw new MeshError('not_admin', {
    detail: `the root key of mesh ${slug} is not on this host`,
    hint: 'Run this on the host where the mesh was made.',
  })
}

/** Nothing that is there is written over, nothing half written is left, and a power cut after it takes nothing away. */
async function writeNewSecret(path: string, text: string): Promise<void> {
  const { writeNewFile } = await import('@claudemesh/storage')
  try {
    writeNewFile(path, text, { mode: 0o600 })
  } catch (error) {
    if (error instanceof MeshError) throw error
    const reason = error instanceof Error && 'code' in error && error.code === 'EEXIST' ? 'exists' : 'cannot be made'
    throw invalidUsage(`${path} ${reason}`, 'Name a new file in a directory that is there with --out <path>.')
  }
}
