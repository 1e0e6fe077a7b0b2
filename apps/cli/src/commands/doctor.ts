import type { CommandDefinition } from '../command.ts'
import type { Diagnosis } from '../doctor/diagnose.ts'
import { exitCodes } from '../exit-codes.ts'
import { invalidUsage } from '../flags.ts'
import { selectMesh } from '../mesh-selection.ts'
import { renderCondition } from '../output/conditions.ts'
import type { Terminal } from '../output/terminal.ts'
import { readVersion } from '../version.ts'

export const command: CommandDefinition = {
  summary: 'Find what keeps this host from sending and receiving, with the command that mends it',
  examples: [
    { line: 'claudemesh doctor', describe: 'exit code 0 only if nothing is wrong; nothing is changed' },
    { line: "claudemesh doctor --json | jq '.findings[].remedy'", describe: 'what there is to do, for a program' },
  ],

  async run({ args, mesh, environment, terminal }) {
    if (args.length > 0) throw invalidUsage('doctor takes no arguments')
    const { diagnose } = await import('../doctor/diagnose.ts')
    const slug = selectMesh({ environment, mesh })
    const place = { home: environment.home, mesh: slug }
    const { serviceFindings } = await import('../doctor/service-findings.ts')
    const service = () => serviceFindings(environment, slug)
    const diagnosis = await diagnose({ ...place, version: readVersion(), service, now: Date.now })
    terminal.print({ value: diagnosis, render: (value) => render(value, terminal) })
    return diagnosis.healthy ? exitCodes.ok : exitCodes.failed
  },
}

function render({ mesh, healthy, checked, findings }: Diagnosis, terminal: Terminal): readonly string[] {
  const verdict = healthy ? terminal.paint('green', 'healthy') : terminal.paint('yellow', 'needs attention')
  return [
    `mesh ${mesh}: ${verdict} (looked at ${checked.join(', ')})`,
    ...findings.flatMap((finding) => renderCondition(finding, terminal)),
  ]
}
