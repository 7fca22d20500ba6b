import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { EnvironmentSchema } from '../../lib/config/environment.ts'
import { installDebianPackages } from '../../scripts/debian.mjs'
import { findRedisServer } from '../../scripts/redis-server.mjs'
import { makeFolder } from '../support/folders.ts'
import { fixture, root } from '../support/paths.ts'
import { freePort } from '../support/ports.ts'
import { post } from '../support/requests.ts'
import { serversFile } from '../support/servers-file.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/wait.ts'

t.setTimeout(170_000)

interface ComposeService {
  command: string[]
  environment: Record<string, string>
  secrets: string[]
  networks: string[]
  healthcheck: { test: string[] }
  mem_limit: string
  stop_grace_period: string
}
interface Compose { services: Record<string, ComposeService>, secrets: Record<string, { file: string }> }

const file = join(root, 'deploy', 'compose.yaml')
const text = readFileSync(file, 'utf8')
const { services, secrets } = parse(text, { merge: true }) as Compose
const clients = ['mcp-client-1', 'mcp-client-2']
const service = (name: string) => services[name] as ComposeService
const defaultOf = (name: 'MCP_CLOSE_GRACE' | 'MCP_STOP_STEP_MS') => Number((EnvironmentSchema.properties[name] as { default?: unknown }).default)

for (const [command, ...packages] of [
  ['docker-compose', 'docker-compose'], ['yamllint', 'yamllint'], ['redis-cli', 'redis-tools'], ['curl', 'curl']
] as const) {
  if (spawnSync(command, ['--version']).error === undefined) continue
  if (!installDebianPackages(packages, `The tests run ${command}, and there is none.`)) throw new Error(`no ${command}`)
}

/** What Compose makes of a file: the real docker-compose, which needs no engine for that. */
const config = async (t: Test, compose: string) => {
  const folder = await makeFolder(t)
  writeFileSync(join(folder, 'compose.yaml'), compose)
  writeFileSync(join(folder, 'mcp-client.env'), 'MCP_API_BASE_URL=https://api.example.com\n')
  return spawnSync('docker-compose', ['-f', join(folder, 'compose.yaml'), 'config'], { encoding: 'utf8' })
}

t.test('docker-compose takes the file, and no other field', async t => {
  const { status, stdout, stderr } = await config(t, text)
  t.equal(status, 0, stderr)
  const parsed = parse(stdout) as Compose
  for (const name of [...clients, 'redis', 'nginx']) t.ok(parsed.services[name], name)
  t.match(service('mcp-client-1').environment, { REDIS_HOST: 'redis' })
  for (const [good, bad] of [['stop_grace_period', 'stop_grace'], ['mem_limit', 'memory_limit'], ['redis-data: {}', 'data: {}']] as const) {
    t.not((await config(t, text.replaceAll(good, bad))).status, 0, bad)
  }
})

t.test('all YAML of deploy/ is written by the rules of yamllint', async t => {
  const { status, stdout } = spawnSync('yamllint', ['-c', join(root, '.yamllint'), '--strict', join(root, 'deploy')], { encoding: 'utf8' })
  t.equal(status, 0, stdout)
})

t.test('each container may end its work, and is closed', async t => {
  const seconds = (name: string) => Number(/^(\d+)s$/.exec(service(name).stop_grace_period)?.[1])
  const grace = defaultOf('MCP_CLOSE_GRACE') + 5 + 2 * defaultOf('MCP_STOP_STEP_MS') / 1000
  for (const name of [...clients, 'nginx']) t.ok(seconds(name) > grace, name)
  for (const name of Object.keys(services)) {
    t.match(service(name), {
      read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'], mem_limit: /^\d+[mg]$/
    }, name)
    for (const secret of service(name).secrets ?? []) t.match(secrets[secret]?.file, `./secrets/${secret}`)
  }
  t.strictSame(service('redis').networks, ['back'])
  t.notOk(service('nginx').networks.includes('back'), 'only the services reach Redis')
  for (const name of Object.keys(service('mcp-client-1').environment)) {
    t.ok(Object.hasOwn(EnvironmentSchema.properties, name) || name === 'CHARTS_TOKEN_FILE', name)
  }
})

/** Starts a command of the file in this machine, where the places that it names are elsewhere. */
async function start (
  t: Test, [command = '', ...args]: string[], places: Array<[string, string]>, env: NodeJS.ProcessEnv
) {
  // A file, because nginx opens /dev/stderr, and cannot where that is a socket, as Node's pipes are.
  const log = join(await makeFolder(t), 'log')
  const output = openSync(log, 'a')
  const child = spawn(command, args.map(arg => inPlace(arg, places)), { env, stdio: ['ignore', output, output] })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
    closeSync(output)
  })
  return { output: () => readFileSync(log, 'utf8'), isRunning: () => child.exitCode === null }
}

function inPlace (text: string, places: Array<[string, string]>): string {
  return places.reduce((text, [from, to]) => text.replaceAll(from, to), text.replaceAll('$$', '$'))
}

function isHealthy ({ healthcheck: { test: [kind, ...args] } }: ComposeService, places: Array<[string, string]>) {
  const [command = '', ...rest] = (kind === 'CMD-SHELL' ? ['sh', '-c', ...args] : args).map(arg => inPlace(arg, places))
  return spawnSync(command, rest).status === 0
}

t.test('what the file starts works together: Redis, two services and nginx, by their own commands and checks', async t => {
  const folder = await makeFolder(t)
  const [redisPort, nginxPort] = [await freePort(), await freePort()]
  for (const name of ['bin', 'data', 'lib', 'tmp']) mkdirSync(join(folder, name))
  symlinkSync(findRedisServer() ?? '', join(folder, 'bin', 'redis-server'))
  const env = { ...process.env, PATH: [join(folder, 'bin'), process.env.PATH, '/usr/sbin'].join(delimiter) }
  const key = 'key-of-a-caller'
  for (const [name, secret] of Object.entries({
    'redis-password': 'with-a-password',
    'encryption-keys': `k1:${Buffer.alloc(32, 7).toString('base64')}`,
    'api-keys': `chat:${createHash('sha256').update(key).digest('hex')}`,
    'charts-token': 'canary'
  })) writeFileSync(join(folder, name), secret)

  const ofRedis: Array<[string, string]> = [
    ['/run/secrets', folder], ['--dir /data', `--dir ${folder}/data --port ${redisPort}`],
    ['redis-cli ping', `redis-cli -p ${redisPort} ping`]
  ]
  t.notOk(isHealthy(service('redis'), ofRedis), 'not before it runs')
  const redis = await start(t, service('redis').command, ofRedis, env)
  await until(() => isHealthy(service('redis'), ofRedis) || !redis.isRunning(), 'Redis is healthy')
  t.ok(redis.isRunning(), redis.output())
  const refused = execFileSync('redis-cli', ['-p', String(redisPort), 'ping'], { encoding: 'utf8' })
  t.match(refused, 'NOAUTH', 'Redis wants its password')

  const servers = await serversFile(t, { tiny: { command: process.execPath, args: [fixture('tiny-server.mjs')] } })
  const workers = await Promise.all(clients.map(name => {
    const variables = Object.entries(service(name).environment).map(([name, value]) =>
      [name, value.replace('/run/secrets', folder).replace('/etc/mcp-client/servers.json', servers).replace(/^redis$/, '127.0.0.1')])
    return startService(t, {
      ...Object.fromEntries(variables) as Record<string, string>,
      REDIS_URL: undefined,
      REDIS_PORT: String(redisPort),
      MCP_SKIP_VALIDATION: 'true',
      MCP_ALLOWED_HOSTS: 'mcp-client',
      MCP_SESSION_KEY_PREFIX: 'compose'
    })
  }))

  const [one = '', two = ''] = workers.map(({ url }) => new URL(url).host)
  const ofNginx: Array<[string, string]> = [
    ['mcp-client-1:33000', one], ['mcp-client-2:33000', two], ['127.0.0.1:8080', `127.0.0.1:${nginxPort}`],
    ['/etc/nginx/mcp-client.conf >', `${join(root, 'deploy', 'nginx.conf')} | sed -e "s,/run/mcp-client,${folder}/tmp/mcp-client," -e "s,/var/lib/nginx,${folder}/lib," -e "s,listen 8080,listen 127.0.0.1:${nginxPort}," -e "s,^http {,http { fastcgi_temp_path ${folder}/lib/f; uwsgi_temp_path ${folder}/lib/u; scgi_temp_path ${folder}/lib/s;," >`],
    ['/tmp/nginx.conf', join(folder, 'tmp', 'nginx.conf')]
  ]
  const nginx = await start(t, service('nginx').command, ofNginx, env)
  await until(() => isHealthy(service('nginx'), ofNginx) || !nginx.isRunning(), 'nginx is healthy')
  t.ok(nginx.isRunning(), nginx.output())

  const url = `http://127.0.0.1:${nginxPort}`
  const session = { session_id: 'composed' }
  const credentials = { apiUrl: 'https://api.example.com', jwtToken: 'not.a-real.token' }
  const headers = { 'x-api-key': key }
  t.match(await post(`${url}/init`, { ...session, ...credentials }), { status: 401 }, 'callers need a key')
  t.match(await post(`${url}/init`, { ...session, ...credentials }, headers), { status: 200 })
  for (let call = 0; call < 6; call++) {
    const answer = await post(`${url}/call-tool`, { ...session, tool: 'echo', params: { text: 'hello' } }, headers)
    t.match(answer, { status: 200, body: { text: 'hello' } })
  }
  t.match(nginx.output(), /"POST \/call-tool" 200/, 'the access log is on the output')
  for (const host of [one, two]) t.ok(nginx.output().includes(`by ${host}`), 'both services answer')
})
