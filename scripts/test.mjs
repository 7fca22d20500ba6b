/*
 * Runs the tests: all but test/long, or those whose name has one of the words, as `npm test --
 * test/routes/init.test.ts`. `--all` adds test/long, but for the loads, which need the machine for themselves. `--jobs`
 * says how many files run at once, `--timeout` how many seconds each may take, and `--reporter` how the results are
 * shown (tap, base, terse, min, dot, junit, …).
 *
 * tap's library starts the processes, of which each runs some files. Its command line is not used: it loads a loader
 * into each process for its coverage, which doubles the time that a file takes to start.
 */
import './prepare-tests.mjs'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root, stop } from './environment.mjs'
import { findRedisServer, startRedisServer } from './redis-server.mjs'
import { buildTests } from './test-build.mjs'

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    all: { type: 'boolean', default: false },
    // Two more than there are cores: a file often waits for a process that it started.
    jobs: { type: 'string', default: String(availableParallelism() + 2) },
    timeout: { type: 'string', default: '180' },
    reporter: { type: 'string', default: process.stdout.isTTY ? 'base' : 'tap' }
  }
})

/**
 * The optimizing compiler is left out: most files end before its work pays, which is a tenth of the time of a run. It
 * pays in files that only compute.
 */
const computing = /(dependencies|rooms|argument-check|hide-properties|json-text)\.test\.ts$/
/** Minutes of load, or of compilers: beside them other tests would be slow. They run when they are named. */
const loads = /long\/(load|rolling-restart|generated-clients)\.test\.ts$/
const flagsOf = file => [...(computing.test(file) ? [] : ['--no-opt']), '--enable-source-maps']

const build = buildTests()
const files = select(
  readdirSync(join(root, 'test'), { recursive: true })
    .map(name => join('test', name))
    .filter(name => name.endsWith('.test.ts'))
)
if (files.length === 0) stop(`No test file has ${words.join(' or ')} in its name.`)
const batches = batchesOf(files)

// What this run writes is in a folder of its own, so that runs at the same time do not meet.
const folder = mkdtempSync(join(tmpdir(), 'mcp-test-run-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
mkdirSync(join(folder, 'work'))
const redis = await startRedisServer({ binary: findRedisServer(), folder: join(folder, 'redis') })

Object.assign(process.env, { TAP_TIMEOUT: options.timeout, TAP_CWD: join(folder, 'work'), TEST_REDIS_URL: redis.url })
// Imported only here: a static import would be looked for before the dependencies are installed.
const [{ default: t }, { default: processOnSpawn }] = await Promise.all([import('tap'), import('process-on-spawn')])
processOnSpawn.addListener(spawned => {
  const { NODE_OPTIONS, ...env } = spawned.env
  spawned.env = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('_TAPJS')))
})
await show(t)
t.setTimeout(0)
t.jobs = Math.min(Number(options.jobs), batches.length)
t.plan(batches.length)
t.teardown(redis.stop)
for (const batch of batches) {
  const timeoutMs = Number(options.timeout) * 1_000
  const [file] = batch
  const spawn = (script, name, settings) =>
    t.spawn(process.execPath, [...flagsOf(file), script], { cwd: root, buffered: t.jobs > 1, ...settings }, name)
  if (batch.length === 1) spawn(join(build, file.replace(/\.ts$/, '.js')), file, { timeout: timeoutMs })
  else {
    const settings = JSON.stringify({ folder: build, files: batch, timeoutMs })
    const env = { ...process.env, TEST_BATCH: settings, TAP_TIMEOUT: '0' }
    spawn(join(root, 'scripts', 'test-batch.mjs'), `${batch.length} files from ${file}`, {
      env, timeout: batch.length * timeoutMs
    })
  }
}

/**
 * Files that run in one process: most files spend more time on importing the service than on it. Files that are named
 * run each by itself.
 */
function batchesOf (names) {
  if (words.length > 0) return names.map(name => [name])
  const inFolder = folder => names.filter(name => name.startsWith(join('test', folder, '/')))
  const [long, e2e, computed] = [inFolder('long'), inFolder('e2e'), names.filter(name => computing.test(name))]
  const others = names.filter(name => ![...long, ...e2e, ...computed].includes(name))
  return [...long.map(name => [name]), ...dealt(e2e, 6), computed, ...dealt(others, 12)]
}

/** Neighbours are much alike, and so are their times. Dealt like cards they come into different batches. */
function dealt (names, size) {
  const count = Math.ceil(names.length / size)
  return Array.from({ length: count }, (_, batch) => names.filter((_, index) => index % count === batch))
}

/** The folders with the longest files come first, so that no core is idle at the end. */
function select (names) {
  const inFolder = folder => names.filter(name => name.startsWith(join('test', folder, '/'))).sort()
  const [long, e2e] = [inFolder('long'), inFolder('e2e')]
  const ordered = [...long, ...e2e, ...names.filter(name => !long.includes(name) && !e2e.includes(name)).sort()]
  if (words.length === 0) return ordered.filter(name => options.all ? !loads.test(name) : !long.includes(name))
  return ordered.filter(name => words.some(word => name.includes(word.replace(/^\.\//, ''))))
}

async function show (t) {
  if (options.reporter === 'tap') return t.pipe(process.stdout)
  const { report } = await import('@tapjs/reporter')
  await report(options.reporter, t, new Map([['comments', false]]))
}
