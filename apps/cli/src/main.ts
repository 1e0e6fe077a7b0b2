/** The entry of the command line. `--version` answers without loading anything else. */
import { readVersion } from './version.ts'

/**
 * Runs one command.
 *
 * @param argv what was typed after `claudemesh`
 * @returns the exit code
 */
export async function main(argv: readonly string[]): Promise<number> {
  // Before anything is created: nothing of ours is for other users to read (03 §1).
  process.umask(0o077)
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    process.stdout.write(`${readVersion()}\n`)
    return 0
  }
  const { runProgram } = await import('./program.ts')
  return await runProgram(argv)
}
