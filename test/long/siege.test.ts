import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { makeFolder } from '../support/folders.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { processes } from '../support/processes.ts'
import { callAt, openSession, post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { type Service, startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

const kinds = ['garbage', 'pages', 'comment', 'pings', 'silent'] as const
const overStdio = new Set<string>(['garbage', 'pings'])

/** The service with little memory, a good server and the five hostile ones. */
async function start (t: Test) {
  const mark = join(await makeFolder(t), 'siege')
  const entryOf = async (kind: string) => overStdio.has(kind)
    ? { command: process.execPath, args: [fixture('siege-server.mjs'), kind, mark] }
    : { url: (await startUpstream(t, 'siege', [kind, mark])).url }
  const entries = Object.fromEntries(await Promise.all(['good', ...kinds].map(async kind =>
    [kind, await entryOf(kind)] as const)))
  const service = await startService(t, {
    MCP_SERVERS_FILE: await serversFile(t, entries),
    NODE_OPTIONS: '--max-old-space-size=256',
    MCP_SESSION_START_TIMEOUT: '3',
    MCP_API_DEFAULT_TIMEOUT: '3',
    MCP_API_LONG_TIMEOUT: '3',
    MCP_SESSION_MAX_CONCURRENCY: '100'
  })
  const isOver = { value: false }
  const childrenOf = () =>
    processes().filter(({ parent, command }) => command.includes(mark) && parent === service.pid)
  return { service, isOver, childrenOf, hostile: await openSession(service), good: await openSession(service) }
}

interface Outcome { kind: string, status: number, code: unknown }

/** Longer than all limits of a request together (ms), on a machine that is busy. */
const hangsMs = 60_000

async function callHostile (service: Service, session: string, kind: string): Promise<Outcome> {
  const hanging = delay(hangsMs, { status: 0, body: { code: 'it hangs' } }, { ref: false })
  const { status, body } = await Promise.race([callAt(service, session, `${kind}__act`), hanging])
  return { kind, status, code: (body as { code?: unknown }).code }
}

/** Sixteen calls at once of hostile servers, until all rounds are done. */
async function attack (service: Service, session: string, rounds: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  let next = 0
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (next < rounds * kinds.length) {
      outcomes.push(await callHostile(service, session, kinds[next++ % kinds.length] ?? ''))
    }
  }))
  return outcomes
}

t.test('five servers that are hostile all at once fail their own calls only, and leave nothing behind', async t => {
  const { service, isOver, childrenOf, hostile, good } = await start(t)
  const attacked = attack(service, hostile, 8).finally(() => { isOver.value = true })
  const statuses: number[] = []
  while (!isOver.value) {
    const { status, body } = await callAt(service, good, 'good__act')
    statuses.push(status)
    if (status !== 200) t.fail(JSON.stringify(body))
  }
  t.ok(statuses.length > 5, `${statuses.length} calls of the good server`)

  const outcomes = await attacked
  for (const kind of kinds) t.equal(outcomes.filter(outcome => outcome.kind === kind).length, 8, kind)
  for (const { kind, status, code } of outcomes) {
    t.ok(status >= 400 && String(code).startsWith('MCPC_ERR_'), `${kind}: ${status} ${String(code)}`)
  }
  await until(() => childrenOf().length === 0, 'the processes of hostile servers have ended')
  t.equal((await post(`${service.url}/tools`, { session_id: good })).status, 200)

  service.kill('SIGTERM')
  t.strictSame(await service.exited, { code: 0, signal: null })
})
