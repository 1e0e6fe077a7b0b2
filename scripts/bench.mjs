// `npm run bench [-- name ...]`: measures what is built here, as docs/benchmarks.md says.
import { bin, build, install, run } from './prepare.mjs'

install()
build()
run(bin('tsc'), ['-p', 'bench'])
run('node', ['bench/dist/bench/main.js', ...process.argv.slice(2)])
