// `npm run soak [-- --minutes 60 --rate 20]`: steady traffic for that long, as docs/testing.md says.
import { bin, build, install, run } from './prepare.mjs'

install()
build()
run(bin('tsc'), ['-p', 'bench'])
run('node', ['bench/dist/bench/soak.js', ...process.argv.slice(2)])
