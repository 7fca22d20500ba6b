import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { makeFolder } from '../support/folders.ts'
import { startUpstream } from '../support/mcp-servers.ts'
import { fixture } from '../support/paths.ts'
import { post } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'
import { until } from '../support/wait.ts'

type Service = Awaited<ReturnType<typeof serviceOn>>

/** Where the service listens: only over a socket can a caller leave. */
async function listening (service: Service): Promise<string> {
  await service.listen({ port: 0, host: '127.0.0.1' })
  return urlOf(service)
}

const urlOf = (service: Service) => `http://127.0.0.1:${(service.server.address() as AddressInfo).port}`

/** Calls a tool for long, and leaves as soon as it runs. */
async function callAndLeave (url: string, runs: () => Promise<boolean>): Promise<void> {
  await post(`${url}/init`, { session_id: 'ours', apiUrl, jwtToken })
  const leaving = new AbortController()
  const response = fetch(`${url}/call-tool`, {
    method: 'POST',
    signal: leaving.signal,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ session_id: 'ours', tool: 'slow', params: { delay: 60_000 } })
  })
  await until(runs, 'the call runs')
  leaving.abort()
  await response.catch(() => {}) // it was left
}

for (const [what, name, args, type] of [
  ['2025 with sessions', 'http-2025', [], 'http'],
  ['2025 with sessions and JSON', 'http-2025', ['--json'], 'http'],
  ['2025 without sessions', 'http-2025', ['--stateless'], 'http'],
  ['2026', 'http-2026', ['--modern-only'], 'http'],
  ['the first HTTP transport', 'sse', [], 'sse']
] as const) {
  t.test(`a caller who leaves ends the call at a server of ${what}`, async t => {
    const upstream = await startUpstream(t, name, [...args])
    const service = await serviceOn(t, { up: { type, url: upstream.url } })
    await callAndLeave(await listening(service), async () => (await upstream.stats()).calls.slow === 1)
    await until(async () => (await upstream.stats()).cancelled === 1, 'the server hears of it')
    await service.deferredSettled()
    const { methods, sessions } = await upstream.stats()
    if (what.startsWith('2025 with sessions')) t.equal(methods['notifications/cancelled'], 1)
    if (name === 'http-2025') t.equal(sessions, args[0] === '--stateless' ? 0 : 1, 'the session there goes on')
    if (type === 'sse') t.equal(sessions, 0)
    t.equal((await post(`${urlOf(service)}/call-tool`, { session_id: 'ours', tool: 'echo' })).status, 200)
  })
}

for (const name of ['stdio-2025', 'stdio-2026']) {
  for (const lifecycle of ['request', 'shared']) {
    t.test(`a caller who leaves ends the call at ${name}, lifecycle ${lifecycle}`, async t => {
      const note = join(await makeFolder(t), 'notes')
      const notes = async () => await readFile(note, 'utf8').catch(() => '') // not started yet
      const service = await serviceOn(t, {
        up: { command: process.execPath, args: [fixture(`${name}-server.mjs`), `--note=${note}`], lifecycle }
      })
      await callAndLeave(await listening(service), async () => (await notes()).includes('tools/call'))
      await until(async () => (await notes()).includes('notifications/cancelled'), 'the server hears of it')
      await service.deferredSettled()
      t.equal(service.processCounts().alive, lifecycle === 'shared' ? 1 : 0)
    })
  }
}
