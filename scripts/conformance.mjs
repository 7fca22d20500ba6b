/*
 * Runs the client scenarios of the official conformance suite against the service: `npm run conformance [word]`. A word
 * selects the scenarios whose name has it. For each scenario the suite starts its own MCP server.
 * conformance/client.mjs starts the built service in front of that server, and calls the service.
 *
 * conformance/scenarios.json says which scenarios apply, and why the others do not. A scenario that it does not know
 * fails the run, and so does one that is gone. So a newer suite cannot pass unseen. The run ends with exit code 1 on
 * any failure. It uses this machine only.
 *
 * @see https://github.com/modelcontextprotocol/conformance
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { root } from './environment.mjs'
import { prepareRun } from './private-service.mjs'

const here = join(root, 'scripts', 'conformance')
const suite = join(root, 'node_modules', '@modelcontextprotocol', 'conformance', 'dist', 'index.js')
const known = JSON.parse(readFileSync(join(here, 'scenarios.json'), 'utf8'))
const versions = Object.keys(known.apply)
const word = process.argv[2] ?? ''
/** How long one scenario may take (ms). Two seconds are usual, but a busy machine is slow. */
const clientMs = 60_000

const { folder, redis } = await prepareRun('conformance')
let isGood = false
try {
  const rows = await runAll(sortOut(await listScenarios()).filter(({ name }) => name.includes(word)))
  isGood = report(rows)
} finally {
  await redis.stop()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = isGood ? 0 : 1

/** Lists every client scenario of the suite, with its tags: versions of the protocol, or `extension`. */
async function listScenarios () {
  const { output } = await runSuite(['list', '--client'])
  const lines = [...output.matchAll(/^ {2}- (\S+) \[([^\]]+)\]$/gm)]
  const scenarios = lines.map(([, name, tags]) => ({ name, tags: tags.split(',') }))
  if (scenarios.length === 0) throw new Error(`The suite lists no scenarios: ${output}`)
  return scenarios
}

/** Makes a row for each scenario and version: without an outcome when it must run, else with one and its reason. */
function sortOut (scenarios) {
  const rows = scenarios.flatMap(({ name, tags }) => {
    const reason = reasonFor(known.doNotApply, name)
    if (reason !== undefined) return [{ name, version: tags.join(', '), outcome: 'does not apply', reason }]
    const applicable = versions.filter(version => tags.includes(version))
    if (applicable.length === 0) return [unknown(name, tags.join(', '))]
    return applicable.map(version => known.apply[version].includes(name) ? { name, version } : unknown(name, version))
  })
  const expected = versions.flatMap(version => known.apply[version].map(name => ({ name, version })))
  const isListed = ({ name, version }) => rows.some(row => row.name === name && row.version === version)
  const isMatched = pattern => rows.some(({ name }) => matches(pattern, name))
  const gone = [
    ...expected.filter(scenario => !isListed(scenario)),
    ...Object.keys(known.doNotApply).filter(pattern => !isMatched(pattern)).map(name => ({ name, version: '' }))
  ]
  const reason = 'scenarios.json names it, and the suite has no such scenario'
  return [...rows, ...gone.map(row => ({ ...row, outcome: 'failed', reason }))]
}

function unknown (name, version) {
  const reason = 'the suite has it, and scenarios.json does not say whether it applies'
  return { name, version, outcome: 'failed', reason }
}

/** A pattern is a name, or a prefix and a star. */
function matches (pattern, name) {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}

function reasonFor (reasons, name) {
  return Object.entries(reasons).find(([pattern]) => matches(pattern, name))?.[1]
}

/** Runs the scenarios, as many in parallel as there are cores. */
async function runAll (rows) {
  const waiting = rows.filter(({ outcome }) => outcome === undefined)
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) Object.assign(row, await runScenario(row))
  }))
  return rows
}

async function runScenario ({ name, version }) {
  const results = join(folder, `${name.replaceAll('/', '_')}-${version}`)
  const client = `"${process.execPath}" "${join(here, 'client.mjs')}"`
  const startedAt = performance.now()
  const { code, output } = await runSuite([
    'client', '--command', client, '--scenario', name, '--spec-version', version,
    '--timeout', String(clientMs), '--output-dir', results
  ])
  const took = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
  const checks = readChecks(results)
  const count = status => checks.filter(check => check.status === status).length
  const skipped = count('SKIPPED') > 0 ? [`${count('SKIPPED')} skipped`] : []
  const summary = [`${count('SUCCESS')} checks`, ...skipped, took].join(', ')
  // The suite reports success even for a scenario that it left out, or that checked nothing.
  const isPassed = code === 0 && count('SUCCESS') > 0
  if (isPassed) return { outcome: 'passed', reason: summary }
  const failed = checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
  const faults = failed.map(({ id, errorMessage }) => `${id}: ${errorMessage}`)
  const log = faults.length > 0 && code === 0 ? '' : output
  return { outcome: 'failed', reason: [summary, ...faults].join('\n'), log }
}

function readChecks (results) {
  try {
    const [run] = readdirSync(results)
    return JSON.parse(readFileSync(join(results, run, 'checks.json'), 'utf8'))
  } catch {
    return [] // the suite ended before it wrote the file; its output says why
  }
}

function runSuite (args) {
  // Only the variables that find programs: the environment may have variables of a service.
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: folder, CONFORMANCE_REDIS_URL: redis.url }
  return new Promise(resolve => {
    const command = ['--import', join(here, 'fs-with-glob.mjs'), suite, ...args]
    const limits = { timeout: 2 * clientMs, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 }
    execFile(process.execPath, command, { cwd: folder, env, ...limits }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code ?? 1, output: stdout + stderr })
    })
  })
}

function report (rows) {
  const width = Math.max(...rows.map(({ name }) => name.length))
  for (const { name, version, outcome, reason, log } of rows.filter(({ outcome }) => outcome !== 'does not apply')) {
    const start = `${outcome.padEnd(8)}${version.padEnd(12)}${name.padEnd(width + 2)}`
    console.log(`${start}${reason.replaceAll('\n', '\n    ')}`)
    if (log) console.log(log.trim().slice(-3_000).replaceAll(/^/gm, '      | '))
  }
  for (const [pattern, reason] of Object.entries(known.doNotApply)) {
    const left = rows.filter(({ name, outcome }) => outcome === 'does not apply' && matches(pattern, name))
    if (left.length > 0) console.log(`\n${pattern} (${left.length}) does not apply: ${reason}`)
  }
  const count = outcome => rows.filter(row => row.outcome === outcome).length
  console.log(`\n${count('passed')} passed, ${count('failed')} failed, ${count('does not apply')} do not apply`)
  return count('failed') === 0 && count('passed') > 0
}
