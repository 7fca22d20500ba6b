import t from 'tap'
import { startUpstream } from '../support/mcp-servers.ts'
import { bodiesOf, call, initSession, post, postTo } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { listen, serviceOn, workersOn } from '../support/service.ts'
import { type Mark, startBalancer } from '../support/sticky-balancer.ts'

/** Forms in which balancers mark a replica. */
const marks: Record<string, Mark> = {
  'a plain cookie': place => [`place=${place}; Path=/`],
  'a cookie for a day, not for scripts': place => [`place=${place}; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax`],
  'two cookies with a date': place => [
    `other=x-${place}; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Path=/`,
    `place=${place}; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Path=/mcp`
  ]
}

for (const [what, mark] of Object.entries(marks)) {
  t.test(`the calls of a session stay at one replica of a server whose balancer sets ${what}`, async t => {
    const replicas = [await startUpstream(t, 'http-2025'), await startUpstream(t, 'http-2025', ['--json'])]
    const balancer = await startBalancer(t, replicas.map(({ url }) => url), mark)
    const [one, other] = await workersOn(t, 2, { up: { url: balancer.url } }, { MCP_SESSION_MAX_CONCURRENCY: '50' })
    const workers = [one, other, one, other] as Array<typeof one>
    const ids = [await initSession(one), await initSession(one), await initSession(one)]
    for (const id of ids) {
      const counts = []
      for (const worker of workers) counts.push((await call(worker, id, 'count')).json().n)
      t.strictSame(counts, [1, 2, 3, 4])
      const parallel = await bodiesOf<{ n: number }>(workers.map(worker => call(worker, id, 'count')))
      t.strictSame(parallel.map(({ n }) => n).sort(), [5, 6, 7, 8])
    }
    const stats = await Promise.all(replicas.map(({ stats }) => stats()))
    t.equal(stats.reduce((sum, { initialize }) => sum + initialize, 0), ids.length, 'no session was begun twice')
    t.ok(stats.every(({ initialize }) => initialize > 0), 'both replicas have sessions')

    await Promise.all(ids.map(id => postTo(one, '/shutdown', { session_id: id })))
    await Promise.all(workers.map(worker => worker.deferredSettled()))
    for (const { stats } of replicas) t.equal((await stats()).sessions, 0, 'each is ended where it is')
  })
}

t.test('a session whose replica is gone is begun anew at another one, whose cookie is kept', async t => {
  const replicas = [await startUpstream(t, 'http-2025'), await startUpstream(t, 'http-2025')]
  const urls = replicas.map(({ url }) => url)
  const balancer = await startBalancer(t, urls, place => [`place=${place}; Path=/`])
  const service = await serviceOn(t, { up: { url: balancer.url } })
  const id = await initSession(service)
  t.equal((await call(service, id, 'count')).json().n, 1)
  await replicas[balancer.places.at(-1) ?? 0]?.control({ forgetSessions: true })
  t.equal((await call(service, id, 'count')).json().n, 1)
  t.equal((await call(service, id, 'count')).json().n, 2)
  t.equal((await call(service, id, 'count')).json().n, 3)
})

t.test('each request of a session of the first HTTP transport goes to the replica of its stream', async t => {
  const replicas = [await startUpstream(t, 'sse'), await startUpstream(t, 'sse')]
  const balancer = await startBalancer(t, replicas.map(({ url }) => url), place => [`place=${place}; Path=/`])
  const service = await serviceOn(t, { up: { type: 'sse', url: balancer.url } })
  const id = await initSession(service)
  for (const text of ['a', 'b', 'c']) t.equal((await call(service, id, 'echo', { text })).json().text, text)
})

t.test('users of a server without sessions do not share cookies', async t => {
  const upstream = await startUpstream(t, 'http-2026')
  const balancer = await startBalancer(t, [upstream.url], place => [`place=${place}; Path=/`])
  const service = await serviceOn(t, { up: { url: balancer.url } })
  for (const id of [await initSession(service), await initSession(service)]) {
    for (const text of ['a', 'b']) t.equal((await call(service, id, 'echo', { text })).json().text, text)
  }
  const calls = (await upstream.requests()).filter(({ method }) => method === 'tools/call')
  t.equal(calls.length, 4)
  // The first call goes over the connection that found out the era, whose cookie is that request's own.
  t.strictSame(calls.slice(1).map(({ headers }) => headers.cookie), [undefined, undefined, undefined])
})

t.test('a cookie is in no answer and in no log line, and an entry may have one of its own', async t => {
  const upstream = await startUpstream(t, 'http-2025')
  const balancer = await startBalancer(t, [upstream.url], () => ['place=0; Path=/', 'secret=canary-4711; Path=/'])
  const service = await listen(t, {
    MCP_SERVERS_FILE: await serversFile(t, { up: { url: balancer.url, headers: { Cookie: 'own=1' } } }),
    MCP_LOG_LEVEL: 'trace'
  })
  const session = { session_id: 'ours', apiUrl: 'https://api.example.com', jwtToken: 'a.b.c' }
  const answers = [await post(`${service.url}/init`, session)]
  for (const tool of ['count', 'count', 'none']) answers.push(await post(`${service.url}/call-tool`, { ...session, tool }))
  await upstream.control({ refuse: 500 })
  answers.push(await post(`${service.url}/call-tool`, { ...session, tool: 'count' }))
  await service.close()
  t.equal(balancer.cookies[0], 'own=1')
  t.equal(balancer.cookies.at(-1), 'own=1; place=0; secret=canary-4711')
  const seen = JSON.stringify(answers.map(({ body, headers }) => [body, [...headers]])) + service.output()
  t.notMatch(seen, /canary-4711/)
})
