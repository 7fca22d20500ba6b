import t from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { call, initSession } from '../support/requests.ts'
import { serviceOn } from '../support/service.ts'

for (const [what, name, args] of [
  ['2025', 'http-2025', []],
  ['2025 with a session for each request', 'http-2025', []],
  ['2026', 'http-2026', ['--modern-only']]
] as const) {
  t.test(`60 calls use a handful of connections to a server of ${what}`, async t => {
    const upstream = await startUpstream(t, name, [...args])
    const service = await serviceOn(t, {
      up: { url: upstream.url, ...(what.includes('each') && { session: 'request' }) }
    })
    const id = await initSession(service)
    for (let times = 0; times < 60; times++) {
      const response = await call(service, id, 'echo')
      if (response.statusCode !== 200) throw new Error(response.body)
    }
    await service.deferredSettled()
    const { sockets } = await upstream.stats()
    t.ok(sockets <= 6, `${sockets} connections`)
  })
}
