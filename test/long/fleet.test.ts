import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeFolder } from '../support/folders.ts'
import { fixture, root } from '../support/paths.ts'
import { call, initSession, postTo } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

const warnings: string[] = []
process.on('warning', ({ message }) => warnings.push(message))

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`)

/** A fleet whose servers write into one file what they do. */
async function createFleet (t: Test) {
  const file = join(await makeFolder(t), 'done')
  await writeFile(file, '')
  const done = async () => (await readFile(file, 'utf8')).split('\n').filter(Boolean)
  return {
    entries: (ids: readonly string[], kind = 'good') => Object.fromEntries(ids.map(name =>
      [name, { command: process.execPath, args: [fixture('fleet-server.mjs'), file, name, kind] }])),
    done,
    starts: async () => (await done()).filter(line => line.startsWith('start')).map(line => line.slice(6)),
    /** Lets the slow servers answer, and those that hang end. */
    go: () => writeFile(`${file}.go`, '')
  }
}

t.test('every spare of a fleet becomes ready, one start at a time, and again after it was used', async t => {
  const { entries, starts } = await createFleet(t)
  const ids = names('plain', 19)
  const bin = (name: string) => join(root, 'node_modules', '.bin', name)
  const app = await serviceOn(t, {
    everything: { command: bin('mcp-server-everything'), args: ['stdio'] },
    wrapped: { command: 'npx', args: ['--no-install', 'mcp-server-memory'], cwd: root },
    files: { command: bin('mcp-server-filesystem'), args: [await makeFolder(t)] },
    v1: { command: process.execPath, args: [fixture('stdio-2025-server.mjs')] },
    v2: { command: process.execPath, args: [fixture('stdio-2026-server.mjs')] },
    ...entries(ids)
  }, { MCP_WARM_SPARES: '1' })
  let most = 0
  const watching = setInterval(() => { most = Math.max(most, app.processCounts().starting) }, 2)
  t.teardown(() => clearInterval(watching))
  const all = () => until(() => app.processCounts().sparesReady === 24, 'all spares are ready', 120_000)

  await all()
  t.equal(most, 1)
  t.strictSame((await starts()).toSorted(), ids.toSorted(), 'each was started once')

  const session = await initSession(app)
  const called = await Promise.all(['plain0', 'plain7', 'plain18'].map(name => call(app, session, `${name}__act`)))
  t.strictSame(called.map(({ statusCode }) => statusCode), [200, 200, 200])
  await all()
  t.strictSame((await starts()).slice(19).toSorted(), ['plain0', 'plain18', 'plain7'], 'those and no others')
  t.match(app.processCounts(), { alive: 24, starting: 0, waiting: 0 })
})

t.test('where fewer processes may run than there are spares, the spares give way to requests', async t => {
  const { entries } = await createFleet(t)
  const ids = names('s', 6)
  const shared = Object.fromEntries(Object.entries(entries(['shared0', 'shared1'])).map(([name, entry]) =>
    [name, { ...entry, lifecycle: 'shared' }]))
  const app = await serviceOn(t, { ...entries(ids), ...shared }, {
    MCP_WARM_SPARES: '1', MCP_MAX_PROCESSES: '2', MCP_QUEUE_TIMEOUT: '60'
  })
  let most = 0
  const watching = setInterval(() => { most = Math.max(most, app.processCounts().alive) }, 2)
  t.teardown(() => clearInterval(watching))
  const session = await initSession(app)
  await until(() => app.processCounts().sparesReady === 2, 'spares take the free places')
  // An idle shared process would keep its place for minutes.
  for (const name of ['shared0', 'shared1', ...ids]) {
    const { statusCode } = await call(app, session, `${name}__act`)
    t.equal(statusCode, 200, name)
  }
  const listed = await postTo(app, '/tools', { session_id: session })
  t.equal(listed.json<{ tools: unknown[] }>().tools.length, 8)
  t.equal(most, 2)
})

t.test('calls of good servers wait for none that is slow, hangs or crashes', async t => {
  const { entries, starts, done, go } = await createFleet(t)
  const [good, hanging, slow, crashing] =
    [names('good', 6), names('hang', 4), names('slow', 3), names('crash', 2)] as const
  const app = await serviceOn(t, {
    ...entries(hanging, 'hangs'), ...entries(slow, 'slow'), ...entries(crashing, 'crashes'), ...entries(good)
  }, { MCP_MAX_STARTING: '2', MCP_SESSION_MAX_CONCURRENCY: '1000', MCP_SESSION_START_TIMEOUT: '300' })
  const session = await initSession(app)
  let ended = 0
  const bad = [...hanging, ...slow].flatMap(name => Array.from({ length: 4 }, async () => {
    const { statusCode } = await call(app, session, `${name}__act`)
    ended++
    return statusCode
  }))
  await until(async () => (await starts()).length >= 2, 'they start')

  const crashed = await Promise.all(crashing.map(name => call(app, session, `${name}__act`)))
  t.strictSame(crashed.map(({ statusCode }) => statusCode), [502, 502])
  const answers = await Promise.all(good.map(name => call(app, session, `${name}__act`)))
  t.strictSame(answers.map(({ statusCode }) => statusCode), Array(6).fill(200))
  t.equal(ended, 0, 'no call of another server has ended')
  const begun = await starts()
  for (const name of [...hanging, ...slow]) {
    t.ok(begun.filter(started => started === name).length <= 2, `${name} has no more starts than may compute at once`)
  }

  // The listing shows them too, before those that hang are given up.
  const listing = postTo(app, '/tools', { session_id: session })
  t.equal((await call(app, session, 'good3__act')).statusCode, 200, 'also beside a listing')
  await until(async () => {
    const listed = (await done()).filter(line => line.startsWith('list good'))
    return new Set(listed).size === good.length
  }, 'all good servers have listed their tools')
  t.equal(ended, 0)
  await go()
  const { tools, errors } = (await listing).json<{ tools: Array<{ name: string }>, errors: Record<string, string> }>()
  t.strictSame(tools.map(({ name }) => name).toSorted(), [...good, ...slow].map(name => `${name}__act`).toSorted())
  t.strictSame(Object.keys(errors).toSorted(), [...hanging, ...crashing].toSorted())
  t.strictSame(new Set(await Promise.all(bad.slice(0, 16))), new Set([502]))
  t.strictSame(new Set(await Promise.all(bad.slice(16))), new Set([200]))
})

t.test('a call of the last server of a fleet goes before a listing of all of them', async t => {
  const { entries, starts } = await createFleet(t)
  const ids = names('s', 20)
  const app = await serviceOn(t, entries(ids), { MCP_MAX_STARTING: '1' })
  const session = await initSession(app)
  const listing = postTo(app, '/tools', { session_id: session })
  await until(async () => (await starts()).length > 0, 'the listing has begun')
  const before = (await starts()).length

  // The listing waits for the list of this server already: the call joins it, and moves it ahead.
  t.equal((await call(app, session, 's19__act')).statusCode, 200)

  const place = (await starts()).indexOf('s19')
  t.ok(place <= before + 2, `it was start ${place} of 20, where ${before} had begun`)
  t.equal((await listing).json<{ tools: unknown[] }>().tools.length, 20)
  t.equal((await starts()).length, 21, 'one for each list, and one for the call')
})

t.test('Node warns of nothing in all that', async t => {
  t.strictSame(warnings, [])
})
