import type { Session } from '@claudemesh/storage/postgres'
import type { Risk } from '../../inspection.ts'
import { readDurabilitySettings } from './statements.ts'

/** What each of the server's own settings costs when it is off. Sessions cannot change them: only the operator can. */
const costs: Readonly<Record<string, string>> = {
  fsync: 'A power cut, or a crash of the operating system, can lose what was acknowledged and damage the database.',
  full_page_writes:
    'A power cut can damage pages that were being written, unless the file system of the server never tears one.',
}

/** The settings of the server with which an acknowledged message may not survive a power cut. */
export async function listRisks(session: Session): Promise<readonly Risk[]> {
  const settings = await readDurabilitySettings(session, Object.keys(costs))
  return settings
    .filter(({ value }) => value !== 'on')
    .map(({ setting, value }) => ({
      setting,
      value,
      meaning: costs[setting] ?? '',
      remedy: `Set ${setting} = on in the configuration of the server (postgresql.conf), and reload it.`,
    }))
}
