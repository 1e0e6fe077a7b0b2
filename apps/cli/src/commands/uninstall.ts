import type { CommandDefinition, Invocation } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { type Flags, invalidUsage } from '../flags.ts'
import { changeClient, installOptions } from '../install/command.ts'

const productOptions = ['purge', 'confirm', 'discard-outbox', 'discard-root-key'] as const

export const command: CommandDefinition = {
  summary: 'Take the mesh out of the configuration of an agent, or all of it off this host; messages and files stay',
  options: [
    ...installOptions,
    { syntax: '--purge', describe: 'without --for: delete the home with its keys, messages and files too' },
    { syntax: '--confirm', describe: 'do what --purge shows' },
    { syntax: '--discard-outbox', describe: 'with --purge: also messages that wait to be sent' },
    { syntax: '--discard-root-key', describe: 'with --purge: also the root key of a mesh' },
  ],
  examples: [
    { line: 'claudemesh uninstall --for claude-code', describe: 'what install wrote, and nothing else' },
    { line: 'claudemesh uninstall --dry-run', describe: 'services, daemons, and what agents were told' },
    { line: 'claudemesh uninstall --purge --confirm', describe: 'the home as well' },
  ],

  async run(invocation) {
    const { flags, mesh } = invocation
    const isOfProduct = flags.text('for') === null
    const foreign = productOptions.find((name) => !isOfProduct && flags.isSet(name))
    if (foreign !== undefined) throw invalidUsage(`--${foreign} is about the whole product`, 'Leave --for out.')
    if (!isOfProduct) return changeClient(invocation, { name: 'uninstall', entryFor: () => null })
    if (mesh !== null || flags.text('scope') !== null) {
      throw invalidUsage('without --for everything of this home is meant', 'Leave --mesh and --scope out.')
    }
    return await uninstallProduct(invocation, readWish(flags))
  },
}

interface Wish {
  readonly purges: boolean
  /** Only shown, and nothing changed. */
  readonly isPlan: boolean
  readonly discardOutbox: boolean
  readonly discardRootKey: boolean
}

function readWish(flags: Flags): Wish {
  const purges = flags.isSet('purge')
  return {
    purges,
    isPlan: flags.isSet('dry-run') || (purges && !flags.isSet('confirm')),
    discardOutbox: flags.isSet('discard-outbox'),
    discardRootKey: flags.isSet('discard-root-key'),
  }
}

async function uninstallProduct({ environment, terminal }: Invocation, wish: Wish): Promise<ExitCode> {
  const { findRemovable, removeAll } = await import('../uninstall/product.ts')
  const { assertPurgeable, ownPaths, purge } = await import('../uninstall/purge.ts')
  const { home } = environment
  const found = await findRemovable(environment)
  const purged = wish.purges ? ownPaths(home) : []
  let left: readonly string[] = []
  if (!wish.isPlan) {
    if (wish.purges) await assertPurgeable(home, wish)
    await removeAll(environment)
    // Asked once more, of stores that nobody changes any more.
    if (wish.purges) await assertPurgeable(home, wish)
    if (wish.purges) left = purge(home)
  }
  const word = wish.isPlan ? 'would be ' : ''
  terminal.print({
    value: { home, done: !wish.isPlan, ...found, purged, left },
    render: () => [
      ...found.services.map((name) => `${word}no service any more: ${name}`),
      ...found.daemons.map((mesh) => `${word}stopped: the daemon of mesh ${mesh}`),
      ...(found.broker ? [`${word}stopped: the broker of ${home}`] : []),
      ...found.agents.map((path) => `${word}taken out: our part of ${path}`),
      ...purged.map((path) => `${word}deleted: ${path}`),
      ...(left.length > 0 ? [`not ours, and left in ${home}: ${left.join(', ')}`] : []),
      ...(wish.purges ? [] : [`keys, messages and files ${wish.isPlan ? 'would ' : ''}stay in ${home}`]),
      wish.isPlan
        ? `  -> claudemesh uninstall${wish.purges ? ' --purge --confirm' : ''}`
        : '  -> the command itself: npm uninstall --global claudemesh',
    ],
  })
  return wish.isPlan && wish.purges ? exitCodes.failed : exitCodes.ok
}
