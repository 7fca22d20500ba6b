/* Runs the tests that prepare-tests.mjs has built: all, or those that are named, as `npm test test/routes/init.test.ts`. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './environment.mjs'

const builtName = name => name.replace(/^(?:\.\/)?(test\/.*\.test)\.ts$/, 'dist-test/$1.js')
const tap = join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs')
const { status } = spawnSync(process.execPath, [tap, ...process.argv.slice(2).map(builtName)], { cwd: root, stdio: 'inherit' })
process.exitCode = status ?? 1
