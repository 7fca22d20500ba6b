import t from 'tap'
import { apiUrl, jwtToken } from '../support/credentials.ts'
import { metricsUrl, scrape } from '../support/metrics.ts'
import { startRedis } from '../support/redis.ts'
import { openSession, post } from '../support/requests.ts'
import { listen } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.test('sessions that are opened, renewed, ended or expire are counted, and an outage of Redis is one', async t => {
  const redis = await startRedis(t)
  const service = await listen(t, { REDIS_URL: redis.url, MCP_METRICS_PORT: '0', MCP_SESSION_IDLE_TTL: '1' })
  const url = metricsUrl(service)
  const events = async () => {
    const { sum } = await scrape(url)
    return ['opened', 'renewed', 'ended', 'expired'].map(event => sum('mcpc_session_events_total', { event }))
  }
  const id = await openSession(service)
  await post(`${service.url}/init`, { session_id: id, apiUrl, jwtToken })
  await post(`${service.url}/shutdown`, { session_id: id })
  await post(`${service.url}/shutdown`, { session_id: id })
  await openSession(service)
  t.strictSame(await events(), [2, 1, 1, 0])
  await until(async () => (await events())[3] === 1, 'one has expired, which is found without anybody asking for it')
  t.equal((await scrape(url)).sum('mcpc_sessions'), 0)

  process.kill(redis.pid, 'SIGSTOP')
  t.teardown(() => { process.kill(redis.pid, 'SIGCONT') })
  await post(`${service.url}/tools`, { session_id: id })
  await until(async () => (await scrape(url)).sum('mcpc_redis_up') === 0, 'the connection was given up')
  const during = await scrape(url)
  t.equal(during.sum('mcpc_redis_outages_total'), 1)
  t.ok(Number.isNaN(during.sum('mcpc_sessions')), 'how many sessions there are is not known')
  t.ok(during.samples.some(({ name, labels: { error_type: type = '' } }) =>
    name === 'db_client_operation_duration_seconds_count' && type !== ''), 'commands failed')
  t.ok(during.sum('mcpc_failures_total', { code: 'MCPC_ERR_STORE_UNAVAILABLE' }) >= 1)
  t.notMatch(during.text, id)

  process.kill(redis.pid, 'SIGCONT')
  await until(async () => (await scrape(url)).sum('mcpc_redis_up') === 1, 'Redis is back')
  t.equal((await scrape(url)).sum('mcpc_redis_outages_total'), 1)
})
