import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const read = (file: string) => readFileSync(join(import.meta.dirname, '..', '..', 'deploy', file), 'utf8')

t.test('workers of one machine have metrics on ports of their own, which Prometheus asks', async t => {
  const command = /^ExecStart=\/bin\/sh -c '(.+)'$/m.exec(read('mcp-client@.service'))?.[1] ?? ''
  const targets = [...read('prometheus/prometheus.yml').matchAll(/"127\.0\.0\.1:(\d+)"/g)].map(([, port]) => port)
  const ports = ['33000', '33001'].map(instance => {
    // As systemd reads it: %i is the instance, and $$ a dollar sign.
    const script = command.replaceAll('%i', instance).replaceAll('$$', '$')
      .replace(/\S+node \S+ scripts\/start\.mjs$/, 'sh -c "echo \\$MCP_CLIENT_PORT \\$MCP_METRICS_PORT"')
    const { stdout } = spawnSync('/bin/sh', ['-c', script], { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } })
    const [client, metrics] = stdout.trim().split(' ')
    t.equal(client, instance)
    return metrics
  })
  t.strictSame(ports, ['34000', '34001'])
  t.strictSame(targets, ports)
})

t.test('the manifest names the port of the metrics once more where Prometheus looks for it', async t => {
  const text = read('kustomize/base/mcp-client.yaml')
  const [, port] = /name: MCP_METRICS_PORT\n\s+value: "(\d+)"/.exec(text) ?? []
  t.match(text, new RegExp(`- name: metrics\\n\\s+containerPort: ${port}\\n`))
  t.match(text, `prometheus.io/port: "${port}"\n`)
  t.match(text, 'prometheus.io/scrape: "true"\n')
})
