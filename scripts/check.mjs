// Everything that must hold before a change lands, in the order from cheap to dear. CI runs exactly this.
import { bin, build, install, run } from './prepare.mjs'

const steps = [
  ['lint and format', () => run(bin('biome'), ['check', '--error-on-warnings', '.'])],
  ['build', build],
  ['types of the tests', () => run(bin('tsc'), ['-p', 'tsconfig.test.json'])],
  ['dependency rules', () => run(bin('depcruise'), ['--config', '.dependency-cruiser.cjs', 'apps', 'packages'])],
  ['unused code', () => run(bin('knip'), [])],
  ['demo', () => run('node', ['scripts/demo.mjs', '--short'])],
  ['tests', () => run('npm', ['test', '--silent', '--', '--all'])],
]

install()
for (const [name, step] of steps) {
  console.log(`\n== ${name}`)
  step()
}
