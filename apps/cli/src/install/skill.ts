import { readFileSync } from 'node:fs'

/** The text that teaches an agent the command line. */
export function readSkill(): string {
  return readFileSync(new URL('../../skill/SKILL.md', import.meta.url), 'utf8')
}
