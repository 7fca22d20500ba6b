import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { options } from '../../app.ts'
import { EnvironmentSchema } from '../../lib/config/environment.ts'

const root = join(import.meta.dirname, '..', '..')
const read = (name: string) => readFileSync(join(root, name), 'utf8')
const defaultOf = (name: keyof typeof EnvironmentSchema.properties) =>
  Number((EnvironmentSchema.properties[name] as { default?: unknown }).default)

/** The number that a pattern captures in a file of deploy/. */
function numberIn (file: string, pattern: RegExp): number {
  const match = pattern.exec(read(join('deploy', file)))
  if (match === null) throw new Error(`${file} has no ${pattern}`)
  return Number(match[1])
}

t.test('nginx waits longer than a request may take', async t => {
  const longest =
    defaultOf('MCP_SESSION_START_TIMEOUT') +
    defaultOf('MCP_API_DEFAULT_TIMEOUT') +
    2 * defaultOf('MCP_API_LONG_TIMEOUT')
  t.ok(numberIn('nginx.conf', /proxy_read_timeout (\d+)s;\n\n/) > longest)
})

t.test('nginx takes the bodies that the service takes, and some that it refuses itself', async t => {
  t.ok(numberIn('nginx.conf', /client_max_body_size (\d+)m;/) * 1024 * 1024 > defaultOf('MCP_MAX_BODY_BYTES'))
})

t.test('it is nginx that closes an idle connection', async t => {
  t.ok(numberIn('nginx.conf', /keepalive_timeout (\d+)s;/) * 1000 < (options.keepAliveTimeout ?? 0))
})

t.test('nginx may never send a POST twice', async t => {
  t.notMatch(read('deploy/nginx.conf').replace(/^\s*#.*$/gm, ''), 'non_idempotent')
})

t.test('supervisors wait longer than the service does for its calls', async t => {
  const grace = defaultOf('MCP_CLOSE_GRACE') + 5 + 2 * defaultOf('MCP_STOP_STEP_MS') / 1000
  t.ok(numberIn('mcp-client@.service', /^TimeoutStopSec=(\d+)$/m) > grace)
  t.ok(
    numberIn('kustomize/base/mcp-client.yaml', /terminationGracePeriodSeconds: (\d+)/) >
      grace + numberIn('kustomize/base/mcp-client.yaml', /"sleep", "(\d+)"/)
  )
})

t.test('systemd ends the service and leaves its MCP servers to it', async t => {
  t.match(read('deploy/mcp-client@.service'), /^KillMode=mixed$/m)
})

t.test('Kubernetes probes the service, and gives it time to start and to become ready', async t => {
  const [, deployment = ''] = read('deploy/kustomize/base/mcp-client.yaml').split('---\n')
  const probe = (name: string, path: string) => {
    const fields = new RegExp(`${name}:\\n +httpGet:\\n +path: ${path}\\n((?: +\\w+: \\w+\\n)+)`).exec(deployment)?.[1] ?? ''
    const numberOf = (field: string) => Number(new RegExp(`${field}: (\\d+)`).exec(fields)?.[1])
    return { timeout: numberOf('timeoutSeconds'), reaction: numberOf('periodSeconds') * numberOf('failureThreshold') }
  }
  const [startup, liveness, readiness] =
    [probe('startupProbe', '/livez'), probe('livenessProbe', '/livez'), probe('readinessProbe', '/readyz')]
  for (const { timeout } of [startup, liveness, readiness]) t.ok(timeout * 1000 > defaultOf('REDIS_COMMAND_TIMEOUT_MS'))
  t.ok(startup.reaction > 5 + defaultOf('MCP_READY_WAIT'), 'longer than the wait for Redis at start, and for lists')
  t.ok(readiness.reaction < liveness.reaction, 'out of the Service before it is started anew')
})

t.test('every variable that is named in deploy/ and docs/ is one that the service reads', async t => {
  const known = new Set(Object.keys(EnvironmentSchema.properties))
  for (const file of [
    'Dockerfile',
    'deploy/nginx.conf',
    'deploy/mcp-client@.service',
    'deploy/mcp-server@.service',
    'deploy/kustomize/base/mcp-client.yaml',
    'deploy/kustomize/overlays/production/mcp-client.yaml',
    'deploy/kustomize/overlays/trial/mcp-client.yaml',
    'docs/deployment.md',
    'docs/configuration.md',
    'docs/errors.md'
  ]) {
    const named = read(file).match(/\b(?:MCP|REDIS|INSIGHT)_[A-Z_]+\b/g) ?? []
    t.strictSame(
      [...new Set(named)].filter(name => !known.has(name)),
      [],
      file
    )
  }
})
