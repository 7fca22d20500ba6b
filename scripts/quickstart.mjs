/*
 * Starts everything on one machine, straight after a clone: dependencies, build, Redis, the demo API, and the service
 * in front of the demo MCP server. Ctrl-C ends all of it. The sessions stay in .data/redis for the next start.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build, checkNodeVersion, installDependencies, loadDotEnv, nodeOptions, root, stop } from './environment.mjs'
import { endWithParent } from './signals.mjs'
import { nameOf, portIsFree, provideRedisServer, startRedisServer, waysToGetRedis } from './redis-server.mjs'

checkNodeVersion()
loadDotEnv()
const host = process.env.MCP_CLIENT_HOST || '127.0.0.1'
const port = process.env.MCP_CLIENT_PORT || '33000'
const demoApiPort = Number(process.env.DEMO_API_PORT || 33001)
const redisFolder = process.env.DEMO_REDIS_DIR || join(root, '.data', 'redis')

if (!(Number(port) >= 1 && Number(port) <= 65_535)) {
  stop(`MCP_CLIENT_PORT must be a port from 1 to 65535, but is "${port}"`)
}
if (!portIsFree(port, host)) {
  stop(`MCP_CLIENT_PORT must be a free port, but ${host}:${port} is taken by another process. ` +
    'Try: MCP_CLIENT_PORT=33010 npm run quickstart')
}

installDependencies()
build()

/** Ends each started program; the last one ends first. */
const running = []
let isStopping = false

async function stopAll (exitCode) {
  if (isStopping) return
  isStopping = true
  for (const end of running.reverse()) await end()
  process.exit(exitCode)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopAll(0))
endWithParent()

async function failed (sentence) {
  console.error(sentence)
  await stopAll(1)
}

try {
  const redis = await provideRedis()
  const api = await startApi()
  await startService(redis.environment, api.url)
  await explain(redis.address, api)
} catch (error) {
  await failed(error.message)
}

async function provideRedis () {
  const { REDIS_HOST, REDIS_PORT = '6379' } = process.env
  const addresses = ['REDIS_URL', 'REDIS_URL_FILE', 'REDIS_SENTINELS', 'REDIS_CLUSTER_NODES']
  const variable = addresses.find(name => process.env[name])
  const address = variable ?? (REDIS_HOST && `${REDIS_HOST}:${REDIS_PORT}`)
  if (address) return { address, environment: {} }
  const binary = provideRedisServer()
  if (binary === null) throw new Error(waysToGetRedis)
  const server = await startRedisServer({ binary, folder: redisFolder, persistent: true })
  running.push(server.stop)
  return {
    address: `a private ${nameOf(binary)} in ${relative(root, redisFolder)}`,
    environment: { REDIS_URL: server.url }
  }
}

async function startApi () {
  const { signDemoToken, startDemoApi } = await import('../examples/demo-api.mjs')
  // The port stays the same: sessions of the last start have it in their apiUrl.
  const api = await startDemoApi({ port: portIsFree(demoApiPort, '127.0.0.1') ? demoApiPort : 0 })
  running.push(api.close)
  return { url: api.url, token: await signDemoToken({ subject: 'demo-user', expiresInSeconds: 7 * 24 * 3600 }) }
}

async function startService (redisEnvironment, apiUrl) {
  const service = spawn(process.execPath, [...nodeOptions, join(root, 'scripts', 'start.mjs')], {
    cwd: root,
    // In its own process group, so that Ctrl-C reaches it once, through this script, and in its turn.
    detached: true,
    // It ends when this script is gone, however that ended.
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: {
      ...process.env,
      ...redisEnvironment,
      MCP_CLIENT_HOST: host,
      MCP_CLIENT_PORT: port,
      MCP_API_BASE_URL: apiUrl,
      MCP_SKIP_VALIDATION: '',
      MCP_SERVER_SCRIPT: join(root, 'examples', 'mcp-server.mjs'),
      MCP_SERVERS_FILE: '',
      MCP_GUIDANCE_FILE: join(root, 'examples', 'guidance.json')
    }
  })
  const exited = once(service, 'exit')
  running.push(async () => {
    service.kill('SIGTERM')
    await exited
  })
  const listening = new Promise(resolve => {
    service.stdout.on('data', chunk => {
      process.stdout.write(chunk)
      if (chunk.includes('Server listening')) resolve(true)
    })
  })
  if (await Promise.race([listening, exited]) !== true) throw new Error('The service did not start.')
  exited.then(() => { if (!isStopping) return failed('The service has ended.') })
}

async function explain (redisAddress, { url: apiUrl, token }) {
  const base = `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}`
  const curl = (path, body) => `curl -s ${base}${path} -d '${JSON.stringify(body)}'`
  const question = 'Which weather brings the most wind?'
  console.log(`
Running:
  the service       ${base}   (its API: ${base}/docs)
  the demo API      ${apiUrl}   (checks the token, has the data)
  the MCP server    examples/mcp-server.mjs, a fresh process for each request
  Redis             ${redisAddress}

Paste these, in this order:

${curl('/init', { session_id: 'demo', apiUrl, jwtToken: token })}

${curl('/tools', { session_id: 'demo' })}

${curl('/call-tool', { session_id: 'demo', tool: 'list_sources', params: { search: 'weather' } })}

${curl('/call-tool', { session_id: 'demo', tool: 'analyze_source_structure', params: { sourceId: 'seattle-weather' } })}

${curl('/call-tool', { session_id: 'demo', tool: 'generate_strategy', params: { question } })}

${curl('/shutdown', { session_id: 'demo' })}

Ctrl-C stops all of it${existsSync(redisFolder) ? '; the sessions are kept' : ''}.
`)
}
