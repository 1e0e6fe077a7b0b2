/** What a new package is, as `create` and `push` are told. */
import type { NewArtifactPackage } from '@claudemesh/protocol/artifacts'
import type { OptionDefinition } from '../command.ts'
import { type Flags, invalidUsage } from '../flags.ts'

/** How long packages are kept. */
export const classes = [
  'transient',
  'raw-evidence',
  'summary-evidence',
  'release-evidence',
  'permanent-record',
] as const
export const classDefault = 'summary-evidence'

export const packageOptions: readonly OptionDefinition[] = [
  { syntax: '--producer <text>', describe: 'who makes it; default: the name of this host' },
  { syntax: '--subject <text>', describe: 'what it is about' },
  { syntax: '--class <class>', describe: `how long it is kept: ${classes.join(', ')}; default ${classDefault}` },
  { syntax: '--type <media type>', describe: 'what the package as a whole is, as in application/vnd.example.report' },
  { syntax: '--paths <policy>', describe: 'portable: paths that every file system takes (default), or posix' },
  { syntax: '--meta <key=value>', describe: 'something to find it by; repeatable', repeatable: true },
  { syntax: '--annotation <key=value>', describe: 'something that goes along; repeatable', repeatable: true },
  { syntax: '--repository <url>', describe: 'where its sources are' },
  { syntax: '--commit <id>', describe: 'which state of them it was made from' },
  { syntax: '--run <id>', describe: 'the run of a pipeline that made it' },
]

/** @throws MeshError invalid_usage */
export function readNewPackage(flags: Flags, o: { readonly name: string; readonly host: string }): NewArtifactPackage {
  const text = <Key extends string>(key: Key, value: string | null) =>
    value === null ? {} : ({ [key]: value } as Readonly<Record<Key, string>>)
  const metadata = toMap('meta', flags.pairs('meta'))
  const annotations = toMap('annotation', flags.pairs('annotation'))
  const policy = flags.choice('paths', ['portable', 'posix'])
  return {
    name: o.name,
    producer: flags.text('producer') ?? o.host,
    retention_class: flags.choice('class', classes) ?? classDefault,
    ...text('subject', flags.text('subject')),
    ...text('artifact_type', flags.text('type')),
    ...(policy === null ? {} : { path_policy: policy }),
    ...(metadata === null ? {} : { metadata }),
    ...(annotations === null ? {} : { annotations }),
    provenance: {
      tool: 'claudemesh',
      ...text('repository', flags.text('repository')),
      ...text('commit', flags.text('commit')),
      ...text('run_id', flags.text('run')),
    },
  }
}

function toMap(option: string, pairs: ReturnType<Flags['pairs']>): Readonly<Record<string, string>> | null {
  const map = Object.fromEntries(pairs)
  if (Object.keys(map).length < pairs.length) throw invalidUsage(`--${option} names the same key twice`)
  return pairs.length === 0 ? null : map
}
