/*
 * Reports which lines of the service the tests reached, from the raw coverage of all processes of a run in the folder
 * that is given, and fails below the floor in .ci/coverage-floor.json. The floor only rises: a lower one than any
 * earlier version in the history fails, too.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const [raw] = process.argv.slice(2)
const root = join(import.meta.dirname, '..')
const floorFile = '.ci/coverage-floor.json'
const c8 = join(root, 'node_modules', 'c8', 'bin', 'c8.js')
const folder = mkdtempSync(join(tmpdir(), 'coverage-'))
/** Least-covered files that are named. */
const named = 15

const { status } = spawnSync(process.execPath, [
  '--max-old-space-size=8192', c8, 'report', '--temp-directory', raw, '--reports-dir', folder,
  '--reporter', 'json-summary', '--exclude-after-remap', '--merge-async',
  '--include', 'app.ts', '--include', 'lib/**/*.ts', '--include', 'plugins/**/*.ts', '--include', 'routes/**/*.ts'
], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
if (status !== 0) throw new Error(`c8 ended with ${status}`)
const { total, ...files } = JSON.parse(readFileSync(join(folder, 'coverage-summary.json'), 'utf8'))
rmSync(folder, { recursive: true })

const least = Object.entries(files)
  .map(([file, { lines }]) => ({ file: file.slice(root.length + 1), ...lines }))
  .filter(({ pct }) => pct < 95)
  .sort((one, other) => one.pct - other.pct)
for (const { file, pct, total, covered } of least.slice(0, named)) console.log(`${pct} % ${file} (${total - covered} lines)`)

const { lines: floor } = JSON.parse(readFileSync(join(root, floorFile), 'utf8'))
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' })
const earlier = git('log', '--format=%H', '--', floorFile).trim().split('\n').filter(hash => hash !== '')
  .map(hash => JSON.parse(git('show', `${hash}:${floorFile}`)).lines)
console.log(`coverage: ${total.lines.pct} % of ${total.lines.total} lines in ${Object.keys(files).length} files, floor ${floor} %`)
if (Math.max(floor, ...earlier) > floor) throw new Error('the floor of the coverage was lowered')
if (total.lines.pct < floor) throw new Error('the coverage is below its floor')
