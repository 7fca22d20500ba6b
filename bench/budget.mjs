/*
 * What a call costs, phase by phase: wall time, turns of the event loop, writes and allocated bytes, with one caller
 * and with 32. With a commit, or with a checkout that is built, also the processor time of a call before and now.
 *
 *   npm run bench:budget [-- options] [commit or checkout]
 *
 *   --rounds=8       blocks of calls of each kind, of which the median counts
 *   --only=shared    kinds of call whose name has this text
 *   --write          writes the tables into docs/design.md and bench/README.md
 */
import { once } from 'node:events'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import {
  bench, echoServer, machine, median, ms, ratio, root, startRedis, startUpstream, table, tableText
} from './bench.mjs'
import { medianBlock, phases, readBlock } from './budget-phases.mjs'
import { compareProcessorTime, makeCalls, processorTimeOfCall } from './call-blocks.mjs'
import { provideCheckout, startCheckout } from './checkouts.mjs'
import { writeTable } from './write-table.mjs'

const { values: options, positionals: [before] } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '8' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false }
  }
})
const rounds = Number(options.rounds)
/** Who else uses the machine. */
const load = loadavg()[0].toFixed(1)
const body = { tool: 'echo', params: { text: 'hello' } }
const blocks = [{ callers: 1, calls: 250, body }, { callers: 32, calls: 1_000, body }]
const sessionCount = 32
const probe = ['--import', `${root}/bench/probe.mjs`]
/** New objects fit where the collector does not look for them during a block: the heap grows by what is allocated. */
const roomy = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256']
const measuredCalls = 400

await bench(async () => {
  const checkout = before === undefined ? null : provideCheckout(before)
  const redis = await startRedis()
  const echoes = { command: process.execPath, args: [echoServer], lifecycle: 'shared' }
  const kinds = [
    { name: 'shared server over stdio', entry: echoes },
    { name: 'HTTP, 2025 era, resumed', entry: { url: await startUpstream('http-2025', '--json') } },
    { name: 'HTTP, 2026 era', entry: { url: await startUpstream('http-2026', '--modern-only') } }
  ].filter(({ name }) => name.includes(options.only))

  const measured = []
  for (const kind of kinds) measured.push(...await measure(kind, redis))
  const compared = []
  for (const kind of checkout === null ? [] : kinds) compared.push(...await compare(kind, checkout, redis))

  const head = `${machine()} · ${rounds} rounds · a load of ${load} before the run`
  const [budget, counts] = [budgetTable(measured), countsTable(measured)]
  console.log(`${head}\n\n${budget}\n\n${counts}`)
  if (checkout !== null) {
    console.log(`\nThe processor time of a worker for a call, ${before} against this checkout, in alternating blocks:\n`)
    table(['kind', 'callers', 'before', 'now', 'ratio'], compared)
  }
  if (options.write) {
    writeTable('docs/design.md', 'budget', 'bench:budget', `${head}\n\n${budget}\n\n${counts}`)
    writeTable('bench/README.md', 'budget', 'bench:budget', `${head}\n\n${counts}`)
  }
})

/** Measures a kind with each number of callers. */
async function measure (kind, redis) {
  const plain = await startCheckout(root, redis, { ...kind, sessionCount })
  const probed = await startCheckout(root, redis, { ...kind, sessionCount, nodeOptions: probe })
  const results = blocks.map(block => ({ kind: kind.name, block, processor: [], probed: [] }))
  for (let round = -2; round < rounds; round++) {
    for (const { block, processor, probed: read } of results) {
      const plainMs = await processorTimeOfCall(plain, block)
      const reading = readBlock(await probeBlock(probed, block), block.calls)
      if (round < 0) continue
      processor.push(plainMs)
      read.push(reading)
    }
  }
  await plain.stop()
  await probed.stop()

  const counting = await startCheckout(root, redis, { ...kind, sessionCount, nodeOptions: [...roomy, ...probe] })
  for (const result of results) {
    result.allocated = await allocationsOf(counting, { ...result.block, calls: measuredCalls })
  }
  await counting.stop()
  return results
}

/** Makes a block of calls and gives what the service's probe says of it. */
async function probeBlock (service, block) {
  await order(service, { probe: 'begin' })
  await makeCalls(service, block)
  return await order(service, { probe: 'end', calls: block.calls })
}

async function order ({ child }, message) {
  const answered = once(child, 'message')
  child.send(message)
  const [answer] = await answered
  return answer
}

/** Bytes of the heap that a call allocates. */
async function allocationsOf (service, block) {
  const bytes = []
  for (let round = -2; round < 3; round++) {
    const { collections, counters } = await probeBlock(service, block)
    if (round < 0) continue // code that is not compiled yet allocates more
    if (collections > 0) throw new Error(`the collector ran ${collections} times: the sum would be too small`)
    bytes.push(counters.heapBytes / block.calls)
  }
  return median(bytes)
}

/** Compares a kind with that of another checkout, with each number of callers. */
async function compare (kind, checkout, redis) {
  const services = []
  for (const folder of [checkout, root]) services.push(await startCheckout(folder, redis, { ...kind, sessionCount }))
  const rows = []
  for (const block of blocks) {
    const compared = await compareProcessorTime(services, block, { rounds })
    rows.push([kind.name, String(block.callers), ms(compared.old), ms(compared.now), ratio(compared.ratio)])
  }
  for (const service of services) await service.stop()
  return rows
}

function budgetTable (measured) {
  const read = measured.map(({ probed }) => medianBlock(probed))
  const cell = (us, { totalUs }) => `${us.toFixed(0)} (${(us / totalUs * 100).toFixed(1)} %)`
  const columns = measured.map(({ kind, block: { callers } }) => `${kind}; ${callers === 1 ? '1 caller' : `${callers} callers`}`)
  return tableText(['µs of a call (share)', ...columns], [
    ...phases.map(([name], index) => [name, ...read.map(block => cell(block.phaseUs[index], block))]),
    ['**all**', ...read.map(({ totalUs }) => `**${totalUs.toFixed(0)}**`)]
  ])
}

function countsTable (measured) {
  const head = [
    'for one call', 'callers', 'processor', 'turns', 'writes to the caller', 'to Redis', 'to the server', 'of log lines',
    'all system calls that write', 'allocated'
  ]
  return tableText(head, measured.map(({ kind, block, processor, probed, allocated }) => {
    const counts = ['turns', 'caller', 'redis', 'server', 'log', 'writeCalls'].map(name =>
      median(probed.map(({ perCall }) => perCall[name])).toFixed(2))
    const processorUs = (median(processor) * 1_000).toFixed(0)
    return [kind, String(block.callers), `${processorUs} µs`, ...counts, `${(allocated / 1_000).toFixed(0)} kB`]
  }))
}
