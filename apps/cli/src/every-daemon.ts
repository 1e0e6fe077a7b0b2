/** A command over the daemons of every mesh of this home: one after the other, and a failure of one keeps none of the others. */
import type { Invocation, OptionDefinition } from './command.ts'
import { type ExitCode, exitCodeByError, exitCodes } from './exit-codes.ts'
import { invalidUsage } from './flags.ts'
import { listMeshes } from './mesh-selection.ts'
import { printable } from './output/printable.ts'
import { MeshError, toProblem } from './protocol.ts'

export const allOption: OptionDefinition = { syntax: '--all', describe: 'every mesh of this home, not one' }

interface Place {
  readonly home: string
  readonly mesh: string
}

/** What is told of all of them together, after each. */
interface Together {
  readonly value: Readonly<Record<string, unknown>>
  readonly line: string
}

interface Done {
  /** What is printed of it for programs. */
  readonly value: Readonly<Record<string, unknown>>
  /** One line for a person. */
  readonly line: string
  readonly exitCode: ExitCode
}

/**
 * Runs `act` for each mesh, and prints a line for each; with --json one document.
 *
 * @returns the exit code of the first that was no success
 * @throws MeshError `invalid_usage` when one mesh is named too, `mesh_not_configured` when there is none
 */
export async function forEveryMesh(
  { mesh, environment, terminal }: Invocation,
  act: (place: Place) => Promise<Done>,
  together: (meshes: readonly string[]) => Promise<Together> = async () => ({ value: {}, line: '' }),
): Promise<ExitCode> {
  if (mesh !== null) throw invalidUsage('--all and --mesh say different things', 'Leave one of the two out.')
  const { home } = environment
  const meshes = listMeshes(home)
  if (meshes.length === 0) throw new MeshError('mesh_not_configured', { detail: `${home} has no mesh yet` })
  const all: Done[] = []
  for (const slug of meshes) {
    const done = await settle(slug, () => act({ home, mesh: slug }))
    all.push(done)
    if (!terminal.json) terminal.line(done.line)
  }
  const { value: fleet, line } = await together(meshes)
  if (terminal.json) terminal.print({ value: { daemons: all.map(({ value }) => value), ...fleet }, render: () => [] })
  else if (line !== '') terminal.line(line)
  return all.find(({ exitCode }) => exitCode !== exitCodes.ok)?.exitCode ?? exitCodes.ok
}

async function settle(mesh: string, act: () => Promise<Done>): Promise<Done> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof MeshError)) throw error
    return {
      value: { mesh, error: toProblem(error) },
      line: `${mesh}: error: ${printable(error.message)}\n  -> ${printable(error.hint)}`,
      exitCode: exitCodeByError[error.code],
    }
  }
}
