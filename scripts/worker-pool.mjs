/* Workers that are killed and started again, and requests to those that listen: a load balancer for long runs. */
import { rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { prepareRun, startService } from './private-service.mjs'

/** Starts a Redis and workers that share it. `fault` is called for a worker that ends by itself. */
export async function openPool ({ name, count, servers, environment = {}, fault }) {
  const { folder, redis } = await prepareRun(name)
  writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers: servers(folder) }))
  const workers = []
  let turn = 0
  let isClosed = false

  async function start () {
    const { child, exited, listening } = startService({
      cwd: folder,
      environment: {
        REDIS_URL: redis.url,
        MCP_SERVERS_FILE: join(folder, 'servers.json'),
        MCP_ASYNC_CALLS: 'on',
        MCP_QUEUE_TIMEOUT: '120',
        MCP_WARM_SPARES: '0',
        MCP_LEARN_LISTS: 'off',
        MCP_STOP_STEP_MS: '200',
        ...environment
      }
    })
    const worker = { child, exited, port: 0, isKilled: false }
    exited.then(() => {
      if (!worker.isKilled && !isClosed) fault('a worker ended by itself')
    })
    worker.port = new URL(await listening).port
    workers.push(worker)
  }

  /** SIGKILL. It still gets requests until it is known to be gone, as behind a load balancer. */
  async function kill (worker = workers[turn % workers.length]) {
    worker.isKilled = true
    worker.child.kill('SIGKILL')
    await worker.exited
    workers.splice(workers.indexOf(worker), 1)
  }

  /** The answer of some worker, or of `worker`; a status of 0 when it was killed meanwhile. */
  function send (method, path, { headers = {}, body, worker = workers[turn++ % workers.length] } = {}) {
    const text = body === undefined ? '' : JSON.stringify(body)
    return new Promise(resolve => {
      const options = { host: '127.0.0.1', port: worker?.port ?? 1, path, method, agent: false }
      const broken = () => resolve({ status: 0, headers: {}, body: '' })
      const call = request({ ...options, headers: { ...headers, 'content-length': Buffer.byteLength(text) } }, response => {
        let body = ''
        response.setEncoding('utf8').on('data', chunk => { body += chunk }).once('error', broken)
        response.once('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
      })
      call.once('error', broken).end(text)
    })
  }

  /** Sends a request until it is answered. */
  async function insist (method, path, options) {
    for (;;) {
      const answer = await send(method, path, options)
      if (answer.status !== 0) return answer
      await delay(20)
    }
  }

  async function openSession (id) {
    const body = { session_id: id, apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' }
    const { status } = await insist('POST', '/init', { body })
    if (status !== 200) throw new Error(`/init answered ${status}`)
  }

  async function close () {
    isClosed = true
    for (const { child } of workers) child.kill('SIGTERM')
    const ended = Promise.all(workers.map(({ exited }) => exited))
    await Promise.race([ended, delay(15_000)])
    for (const { child } of workers) child.kill('SIGKILL')
    await delay(500) // a reaper needs milliseconds
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }

  await Promise.all(Array.from({ length: count }, start))
  return { folder, redis, workers, start, kill, send, insist, openSession, close }
}
