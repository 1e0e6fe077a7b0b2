import { describe, expect, test } from 'vitest'
import { systemSources } from '../../packages/identity/src/host-sources.ts'

describe('a program that is asked about the host', () => {
  const { run } = systemSources()
  const rows: { name: string; program: string; args: string[]; answer: string | null }[] = [
    { name: 'is quoted', program: '/bin/sh', args: ['-c', 'echo 0123'], answer: '0123\n' },
    { name: 'counts for nothing when it fails', program: '/bin/sh', args: ['-c', 'echo 0123; exit 1'], answer: null },
    { name: 'counts for nothing when it is not there', program: '/nowhere/ioreg', args: [], answer: null },
    { name: 'is not heard on its standard error', program: '/bin/sh', args: ['-c', 'echo 0123 >&2'], answer: '' },
  ]
  test.each(rows)('$name', ({ program, args, answer }) => {
    expect(run(program, args)).toBe(answer)
  })
})
