import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Starts the service, uses it as its callers do, and ends it by SIGTERM. Resolves when it has ended with exit code 0,
 * rejects with a reason otherwise, and leaves no process.
 *
 * `env` names a Redis and an MCP server with a tool `echo`. `onReady` is called while the service is up, with its URL.
 * `report` gets a line of each step.
 */
export async function tryService ({ command, cwd, env, user = {}, signal, onReady, report = () => {} }) {
  const port = env.MCP_CLIENT_PORT
  const url = `http://127.0.0.1:${port}`
  const [file, ...args] = command
  const service = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], ...user })
  const output = collectOutput(service)
  const ended = once(service, 'exit')

  const ask = async (path, body) => {
    const limits = [AbortSignal.timeout(30_000), ...(signal ? [signal] : [])]
    const init = { signal: AbortSignal.any(limits), ...(body && { method: 'POST', body: JSON.stringify(body) }) }
    const response = await fetch(`${url}${path}`, init)
    const text = await response.text()
    if (response.status !== 200) {
      throw new Error(`${path} answered ${response.status} ${text}; the service wrote ${output()}`)
    }
    report(`${body ? 'POST' : 'GET'} ${path} ${text.length > 200 ? `${text.length} characters` : text}`)
    return JSON.parse(text)
  }

  try {
    await waitFor(async () => {
      if (service.exitCode !== null) throw new Error(`the service did not start: ${output()}`)
      return await fetch(`${url}/readyz`).then(({ ok }) => ok, () => false)
    }, 30_000, () => `the service is not ready: ${output()}`, signal)
    await ask('/livez')
    await ask('/readyz')
    const session = { session_id: 'trial' }
    await ask('/init', { ...session, apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' })
    const { tools } = await ask('/tools', session)
    if (!tools.some(({ name }) => name === 'echo')) throw new Error('/tools lists no echo')
    const answer = await ask('/call-tool', { ...session, tool: 'echo', params: { text: 'hello' } })
    if (answer.text !== 'hello') throw new Error(`/call-tool answered ${JSON.stringify(answer)}`)
    await ask('/shutdown', session)
    await onReady?.(url)

    service.kill('SIGTERM')
    const [code, killedBy] = await Promise.race([ended, delay(20_000, ['none within 20 s'], { ref: false })])
    if (code !== 0) throw new Error(`after SIGTERM the exit code is ${code ?? killedBy}: ${output()}`)
    report('SIGTERM exit code 0')
  } finally {
    service.kill('SIGKILL')
  }
}

/** Gives a function that returns the last of what a process has written. */
export function collectOutput (child) {
  let text = ''
  const keep = chunk => { text = (text + chunk).slice(-20_000) }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', keep)
  return () => text
}

/** The environment without the variables of npm and a test runner for their own children. npm's settings stay. */
export function outerEnvironment () {
  const inner = /^(NODE_OPTIONS|NODE_ENV|NODE_V8_COVERAGE|_?TAP|TEST_|INIT_CWD|npm_(?!config_)|npm_config_local_prefix)/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !inner.test(name)))
}

async function waitFor (condition, milliseconds, failure, signal) {
  const end = performance.now() + milliseconds
  while (!await condition()) {
    signal?.throwIfAborted()
    if (performance.now() > end) throw new Error(failure())
    await delay(50)
  }
}
