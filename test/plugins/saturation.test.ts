import t from 'tap'
import { failure } from '../support/requests.ts'
import { build, listen } from '../support/service.ts'
import { until } from '../support/wait.ts'

/** Keeps the event loop of this process busy for as long as it is not ended, with room for one turn between. */
function keepBusy (ms: number): () => void {
  const timer = setInterval(() => {
    for (const endsAt = performance.now() + ms; performance.now() < endsAt;);
  }, 1)
  return () => clearInterval(timer)
}

t.test('a worker that is late with its work refuses requests, answers probes, and recovers by itself', async t => {
  const app = await build(t, { MCP_MAX_LOOP_DELAY_MS: '40' })
  const free = await build(t, { MCP_MAX_LOOP_DELAY_MS: '0' })
  const list = { method: 'POST', url: '/tools', payload: { session_id: 'none' } } as const
  await until(async () => (await app.inject(list)).statusCode === 409, 'it is not late')

  const end = keepBusy(120)
  t.teardown(end)
  await until(async () => (await app.inject(list)).statusCode === 503, 'it is late')
  const refused = await app.inject(list)
  t.equal(refused.headers['retry-after'], '1')
  const sentence = 'The service has more requests than it can answer in time'
  t.strictSame(refused.json(), failure('SATURATED', sentence, { retryable: true }))
  const call = await app.inject({ ...list, url: '/call-tool', payload: { session_id: 'none', tool: 'echo' } })
  t.equal(call.json().acted, 'no')
  t.equal((await app.inject(list)).json().code, 'MCPC_ERR_SATURATED', 'it goes on')
  for (const url of ['/livez', '/readyz', '/health']) t.equal((await app.inject({ url })).statusCode, 200, url)
  t.equal((await free.inject(list)).statusCode, 409, 'with 0 nothing is refused')

  end()
  await until(async () => (await app.inject(list)).statusCode === 409, 'it takes requests again')
})

t.test('the log tells of it once, and each refused request has a line at info', async t => {
  const service = await listen(t, { MCP_MAX_LOOP_DELAY_MS: '40' })
  const end = keepBusy(120)
  t.teardown(end)
  const post = async () => (await fetch(`${service.url}/tools`, { method: 'POST', body: '{"session_id":"x"}' })).status
  await until(async () => await post() === 503, 'it is late')
  await post()
  end()
  t.equal(service.output().split('requests are refused: the processor is busy').length, 2)
  t.match(service.output(), /"level":"info".*"code":"MCPC_ERR_SATURATED"/)
  t.notMatch(service.output(), /"level":"error"/)
})
